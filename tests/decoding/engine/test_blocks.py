from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.engine.blocks import Blocks, key

KEYS = [key(b"", [number]) for number in range(6)]


@given(st.lists(st.tuples(st.sampled_from(["take", "release", "name", "share"]), st.integers(0, 5)), max_size=80))
@settings(max_examples=150)
def test_the_books_agree_with_a_count_of_holders(steps):
    blocks, held, named = Blocks(5, 4), list[int](), dict[bytes, int]()
    for step, number in steps:
        if step == "take" and blocks.free:
            block = blocks.take(number)
            assert block not in held, "a block that somebody holds was given away"
            named = {name: place for name, place in named.items() if place != block}
            held.append(block)
        elif step == "release" and held:
            blocks.release(held.pop(number % len(held)))
        elif step == "name" and held:
            block = held[number % len(held)]
            blocks.name(block, KEYS[number])
            if KEYS[number] not in named and block not in named.values():
                named[KEYS[number]] = block
        elif step == "share":
            found = blocks.share([KEYS[number], KEYS[0]])
            wanted = [named[name] for name in (KEYS[number], KEYS[0]) if name in named]
            assert found == (wanted if KEYS[number] in named else [])
            held += found
        counted = Counter(held)
        assert blocks.in_use == len(counted) == blocks.count - blocks.free
        assert all(blocks.is_known(name) == (name in named) for name in KEYS)
    for block in held:
        blocks.release(block)
    assert blocks.free == blocks.count


def test_what_may_be_found_again_is_given_away_last_and_the_longest_unused_first():
    blocks = Blocks(3, 4)
    first, second, third = (blocks.take(0) for _ in range(3))
    blocks.name(first, KEYS[1])
    blocks.name(second, KEYS[2])
    for block in (first, second, third):
        blocks.release(block)
    assert blocks.share([KEYS[1]]) == [first]
    blocks.release(first)
    assert [blocks.take(first) for _ in range(3)] == [third, second, first]
    assert not any(map(blocks.is_known, KEYS))


def test_neighbours_are_given_where_they_are_empty():
    blocks = Blocks(8, 4)
    assert [blocks.take(4), blocks.take(5), blocks.take(4)] == [4, 5, 0]


def test_a_name_says_all_that_stands_before():
    one, other = key(b"", [1, 2]), key(b"", [2, 1])
    assert len({one, other, key(one, [3]), key(other, [3]), key(b"salt", [1, 2])}) == 5
