"""Properties of cutting plain text."""

from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.decode import Encoded
from textus.corpus.log import ReadLog
from textus.corpus.text import SEPARATOR, border, documents, pieces, prefix

WORDS = st.text(st.sampled_from("ab é漢😀 \n"), max_size=200)
LINES = st.lists(st.sampled_from([SEPARATOR, "one", "two words", "", f"in {SEPARATOR} line", "long " * 9]), max_size=30)


def blocks(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def split(text: str, size: int, maximum_bytes: int = 10**6) -> list[str]:
    source = Encoded(blocks(text.encode(), size), "auto", "a.txt", ReadLog())
    return [words for _, _, words in documents(source, maximum_bytes, ReadLog())]


def test_a_separator_line_ends_a_document_and_nothing_else_does():
    text = f"one\n{SEPARATOR}\ntwo {SEPARATOR}\n {SEPARATOR}\n{SEPARATOR}\r\nthree\n{SEPARATOR}"
    assert split(text, 1000) == ["one\n", f"two {SEPARATOR}\n {SEPARATOR}\n", "three\n"]


@given(LINES, st.integers(1, 40), st.integers(30, 200))
def test_the_blocks_of_a_stream_do_not_matter(lines, size, maximum_bytes):
    text = "\n".join(lines)
    assert split(text, size, maximum_bytes) == split(text, 10**6, maximum_bytes)


@given(LINES, st.integers(1, 40))
def test_documents_are_what_stands_between_separators(lines, size):
    groups, current = [], []
    for line in lines:
        if line == SEPARATOR:
            groups.append(current)
            current = []
        else:
            current.append(line)
    expected = ["".join(f"{line}\n" for line in group) for group in [*groups, current]]
    found = split("".join(f"{line}\n" for line in lines), size)
    assert found == [document for document in expected if document]


@given(WORDS, st.integers(4, 60))
def test_pieces_join_to_the_text_and_fit(text, maximum_bytes):
    log = ReadLog()
    found = list(pieces(text, maximum_bytes, log))
    assert "".join(found) == text
    assert all(0 < len(piece.encode()) <= maximum_bytes for piece in found)
    assert log.cut == max(0, len(found) - 1)


@given(WORDS, st.integers(4, 60))
def test_prefix_is_the_longest_that_fits(text, maximum_bytes):
    count = prefix(text, maximum_bytes)
    assert len(text[:count].encode()) <= maximum_bytes
    assert count == len(text) or len(text[: count + 1].encode()) > maximum_bytes


def test_a_cut_prefers_paragraphs_to_lines_to_words():
    assert list(pieces("one two\n\nthree\nfour", 14, ReadLog())) == ["one two\n\n", "three\nfour"]
    assert border("aaa bbb\nccc", 6, 0, 11) == 8
    assert border("aaa bbbccc", 6, 0, 10) == 4
    assert border("aaabbbccc", 6, 0, 9) == 6


def test_a_stream_holds_no_more_than_a_document_and_a_block():
    waiting = 0

    def endless():
        nonlocal waiting
        for _ in range(1000):
            waiting += 1000
            yield b"x" * 1000

    longest = 0
    for _, _, piece in documents(Encoded(endless(), "auto", "a.txt", ReadLog()), 5000, ReadLog()):
        waiting -= len(piece)
        longest = max(longest, waiting)
    assert longest <= 7000
