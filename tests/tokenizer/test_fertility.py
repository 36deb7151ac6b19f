from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Engine
from tokenizers import models, normalizers, pre_tokenizers, trainers

from textus.corpus.document import Document
from textus.tokenizer import fertility
from textus.tokenizer.tokenizer import Tokenizer


def lossy() -> Tokenizer:
    engine = Engine(models.WordPiece(unk_token="[UNK]"))
    engine.normalizer, engine.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False)
    engine.train_from_iterator(["some words of little worth"], trainer)
    return Tokenizer(engine.to_str())


@given(st.lists(st.tuples(st.sampled_from(["a/1", "a/2", "b/1"]), st.text()), max_size=6))
def test_sources_add_up(tokenizer, given_texts):
    documents = [Document(text, source) for source, text in given_texts]
    rows = fertility.by_source(tokenizer, documents)
    assert {row.source for row in rows} == {source[0] for source, _ in given_texts}
    whole = fertility.total(rows)
    assert whole.num_documents == len(documents)
    assert whole.num_bytes == sum(len(text.encode()) for _, text in given_texts)
    assert whole.num_words == sum(len(text.split()) for _, text in given_texts)
    assert whole.num_tokens == sum(len(tokenizer.encode(text)) for _, text in given_texts)


def test_ratios(tokenizer):
    (row,) = fertility.by_source(tokenizer, [Document("the value of the name", "x")])
    assert row.bytes_per_token == 21 / row.num_tokens and row.tokens_per_word == row.num_tokens / 5
    empty = fertility.total([])
    assert (empty.bytes_per_token, empty.tokens_per_word) == (0, 0)


def test_what_a_document_says_of_its_source_goes_before_its_folder():
    assert fertility.source_of(Document("", "a/b.txt", {"source": "letters"})) == "letters"
    assert fertility.source_of(Document("", "a/b.txt", {"source": ""})) == "a"
    assert fertility.source_of(Document("", "b.txt")) == "."


def test_terms_are_frequent_where_they_are_and_missing_elsewhere():
    documents = [Document("the same words everywhere, 1234 times under_scored", str(number)) for number in range(20)]
    documents += [
        Document("Texas and TEXAS, Texas; enzyme! abc", "a"),
        Document("texas enzyme, once alone: unique", "b"),
    ]
    assert fertility.terms(documents) == ["Texas", "enzyme"]
    assert fertility.terms(documents, 1) == ["Texas"]
    assert fertility.terms([]) == []


def test_terms_in_one_token(tokenizer):
    words = ["the", "value", "incomprehensibilities"]
    assert fertility.in_one_token(tokenizer, words) == ["the", "value"]
    assert fertility.in_one_token(tokenizer, []) == []


def test_unused_entries(tokenizer, texts):
    everything = fertility.unused(tokenizer, [])
    assert len(everything) == 2048 - 4 - 256
    (entry,) = tokenizer.encode(" the")
    assert set(everything) - set(fertility.unused(tokenizer, [" the"])) == {entry}
    assert len(fertility.unused(tokenizer, texts)) < 200


def test_random_texts_come_back_from_a_tokenizer_that_loses_nothing_and_from_no_other(tokenizer):
    assert fertility.fuzz(tokenizer, 300) == []
    lost = fertility.fuzz(lossy(), 300)
    assert len(lost) > 250 and lost == fertility.fuzz(lossy(), 300) != fertility.fuzz(lossy(), 300, seed=2)
    planes = {ord(character) >> 16 for text in lost for character in text}
    assert planes == set(range(17))
