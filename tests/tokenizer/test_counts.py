from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from textus.errors import ArtefactError
from textus.tokenizer import counts
from textus.tokenizer.counts import WordCounter, load_table, merge_tables
from textus.tokenizer.words import SPLIT

SPLITTER = pre_tokenizers.Split(Regex(SPLIT), "isolated")
TEXTS = st.lists(st.text(st.sampled_from("ab é½中\n'sS1.🦙\U00020000")) | st.text(), max_size=8)


def expected(texts: list[str]) -> dict[str, int]:
    return dict(Counter(word for text in texts for word, _ in SPLITTER.pre_tokenize_str(text)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(texts=TEXTS, most=st.integers(1, 20))
def test_counts_are_the_engines_words_however_often_they_go_to_disk(texts, most, tmp_path):
    counter = WordCounter(tmp_path, most_words=most)
    for text in texts:
        counter.add(text)
    assert counter.counts() == expected(texts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(texts=TEXTS, workers=st.integers(1, 5), data=st.data())
def test_any_division_of_the_work_gives_the_same_table(texts, workers, data, tmp_path):
    def table(parts: list[list[str]], name: str) -> bytes:
        paths = []
        for number, part in enumerate(parts):
            counter = WordCounter(tmp_path, most_words=7)
            for text in part:
                counter.add(text)
            paths.append(tmp_path / f"{name}-{number}.parquet")
            counter.save(paths[-1])
        merge_tables(paths, tmp_path / name)
        return (tmp_path / name).read_bytes()

    shuffled = data.draw(st.permutations(texts))
    assert table([shuffled[rank::workers] for rank in range(workers)], "many") == table([texts], "one")


def test_more_tables_than_are_opened_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(counts, "_MOST_TABLES", 3)
    counter = WordCounter(tmp_path, most_words=1)
    for number in range(40):
        counter.add(f"word another{number % 7}")
    counter.save(tmp_path / "all.parquet")
    assert load_table(tmp_path / "all.parquet")["word"] == 40
    assert [path.name for path in tmp_path.iterdir()] == ["all.parquet"]


def test_words_that_do_not_fit_are_dropped_by_a_least_count(tmp_path):
    counter = WordCounter(tmp_path)
    for number in range(50):
        counter.add(f"{'x' * (number + 1)} " * (number + 1))
    counter.save(tmp_path / "table.parquet")
    whole = load_table(tmp_path / "table.parquet")
    for most in (0, 1, 100, 700, 10_000):
        kept = load_table(tmp_path / "table.parquet", most)
        assert sum(map(len, kept)) <= most
        dropped = {word: count for word, count in whole.items() if word not in kept}
        assert max(dropped.values(), default=0) < min(kept.values(), default=100)
        if dropped:  # one count less would not have fitted
            last = max(dropped.values())
            assert sum(len(word) for word, count in whole.items() if count >= last) > most
    assert WordCounter(tmp_path).counts() == {}


def test_the_same_rule_whether_or_not_the_disk_was_needed(tmp_path):
    found = []
    for most_words in (3, 10_000):
        counter = WordCounter(tmp_path, most_words)
        counter.add("one two two three three three four four four four " * 3)
        found.append(counter.counts(most_bytes=17))
    assert found[0] == found[1] and 0 < len(found[0]) < 5


@pytest.mark.parametrize("damage", ["cut", "other", "missing"])
def test_a_damaged_table_is_refused(tmp_path, damage):
    path = tmp_path / "table.parquet"
    counter = WordCounter(tmp_path)
    counter.add("some words")
    counter.save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "other":
        pa.parquet.write_table(pa.table({"text": ["a"]}), path)
    else:
        path = Path(tmp_path / "none.parquet")
    with pytest.raises(ArtefactError, match=path.name) as caught:
        load_table(path)
    assert caught.value.hint
