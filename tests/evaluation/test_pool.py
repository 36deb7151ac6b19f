from __future__ import annotations

import json
from pathlib import Path

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.read import read
from textus.errors import CorpusError, InputError
from textus.evaluation.pool import Pool, build_pool

MOST = 10**6


def words(number: int, count: int = 40) -> str:
    return " ".join(f"w{number}x{place}" for place in range(count))


def put(path: Path, *texts: str) -> Path:
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    return path


def learnt(pool: Pool) -> list[str]:
    return [document.text for document in read([pool.inputs], CorpusConfig())]


def measured(pool: Pool) -> list[str]:
    return [document.text for document in pool.held_out_documents()]


def test_what_shows_a_held_out_text_is_in_no_arm(tmp_path: Path) -> None:
    held = words(0) + " café"
    near = held.replace("w0x5 ", "other ")
    holder = words(1) + " " + held + " " + words(2)
    broken = held.encode().decode("cp1252")  # only its repair shows that it is the same
    texts = put(tmp_path / "texts.jsonl", held, near, holder, broken, words(3), words(4))
    pool = build_pool([texts], [put(tmp_path / "held.jsonl", held)], tmp_path / "pool", CorpusConfig(), most_bytes=MOST)
    assert measured(pool) == [held]
    assert learnt(pool) == [words(3), words(4)]
    assert pool.facts["shown"]["documents"] == 4


def test_without_files_a_share_is_held_out_by_content_before_any_step(tmp_path: Path) -> None:
    texts = [words(number) for number in range(100)]
    copies = [*texts, *texts, "x", "", "Itâ€™s broken, and stays so until an arm repairs it"]
    one = build_pool([put(tmp_path / "a.jsonl", *copies)], [], tmp_path / "one", CorpusConfig(), most_bytes=MOST)
    held = set(measured(one))
    assert 2 <= len(held) <= 8 and len(measured(one)) == len(held)
    assert not held & set(learnt(one)) and held | set(learnt(one)) | {""} == set(copies)
    other = build_pool(
        [put(tmp_path / "b.jsonl", *copies[::-1])], [], tmp_path / "two", CorpusConfig(), most_bytes=MOST
    )
    assert (set(measured(other)), other.fingerprint) == (held, one.fingerprint)


def test_held_out_texts_are_told_once_and_not_judged(tmp_path: Path) -> None:
    dirty = "Ã©" * 30 + " buy buy buy " * 9
    held = put(tmp_path / "held.jsonl", words(0), words(0) + " more", words(0, 30), dirty, "  ")
    pool = build_pool([put(tmp_path / "t.jsonl", words(5))], [held], tmp_path / "pool", CorpusConfig(), most_bytes=MOST)
    found = measured(pool)
    assert len(found) == 2 and dirty.rstrip() in found
    assert pool.facts["how"] == "given"


def test_the_room_is_shared_by_twenty_texts_at_least(tmp_path: Path) -> None:
    held = put(tmp_path / "held.jsonl", *(words(number, 1000) for number in range(40)))
    pool = build_pool(
        [put(tmp_path / "t.jsonl", words(99))], [held], tmp_path / "pool", CorpusConfig(), most_bytes=5000
    )
    sizes = [len(text) for text in measured(pool)]
    assert sizes == [250] * 20


def test_files_that_are_held_out_are_not_read_as_input_too(tmp_path: Path) -> None:
    held = put(tmp_path / "held.jsonl", words(0))
    put(tmp_path / "texts.jsonl", words(1))
    pool = build_pool([tmp_path], [held], tmp_path.with_name("pool"), CorpusConfig(), most_bytes=MOST)
    assert (learnt(pool), pool.facts["shown"]["documents"]) == ([words(1)], 0)


def test_it_is_made_once(tmp_path: Path) -> None:
    texts, held = put(tmp_path / "t.jsonl", words(1)), put(tmp_path / "h.jsonl", words(0))

    def made(config: CorpusConfig) -> tuple[Pool, float]:
        pool = build_pool([texts], [held], tmp_path / "pool", config, most_bytes=MOST)
        return pool, (tmp_path / "pool/manifest.json").stat().st_mtime_ns

    first, when = made(CorpusConfig())
    again, then = made(CorpusConfig(deduplicate="none"))  # an arm's business
    assert (again.facts, then) == (first.facts, when)
    put(texts, words(1), words(2))
    assert made(CorpusConfig())[0].facts["read"]["documents"] == 2


@pytest.mark.parametrize(
    ("texts", "held", "error", "message"),
    [
        ([words(0)], [words(0)], CorpusError, "nothing is left to learn from"),
        ([words(0)], ["  "], CorpusError, "nothing to measure on"),
        ([words(0)], [], CorpusError, "nothing to measure on"),
        ([], [words(0)], InputError, "nothing to read"),
    ],
)
def test_what_does_not_suffice_is_said(
    tmp_path: Path, texts: list[str], held: list[str], error: type[Exception], message: str
) -> None:
    paths = put(tmp_path / "t.jsonl", *texts), put(tmp_path / "h.jsonl", *held)
    with pytest.raises(error, match=message):
        build_pool([paths[0]], [paths[1]], tmp_path / "pool", CorpusConfig(), most_bytes=MOST)
    assert not (tmp_path / "pool").exists()
