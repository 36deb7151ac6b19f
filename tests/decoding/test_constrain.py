import json
import re

import pytest

pytest.importorskip("llguidance")

from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.beam import search
from textus.decoding.constrain import Constrained, Grammar
from textus.decoding.generate import collect, complete, generate
from textus.decoding.processors import Temperature
from textus.decoding.speculative import Ngrams
from textus.decoding.strategy import Greedy, Sample
from textus.errors import ConfigError

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"enum": ["fox", "dog"]},
            "legs": {"type": "integer", "minimum": 0, "maximum": 4},
            "lazy": {"type": "boolean"},
        },
        "required": ["name", "legs", "lazy"],
        "additionalProperties": False,
    }
)
LARK = 'start: "the " animal (", the " animal)* "."\nanimal: "fox" | "dog"'


def wild(grammar, tokenizer):
    return Sample(Constrained(grammar, tokenizer), Temperature(2.0))


@pytest.mark.parametrize("seed", range(3))
def test_json_is_what_the_schema_allows(model, tokenizer, seed):
    strategy = wild(Grammar("json", SCHEMA), tokenizer)
    rows = collect(generate(model, tokenizer, "the", strategy, max_tokens=60, seed=seed, n=6), 6)
    for row in rows:
        assert row.finish_reason == "end"
        value = json.loads(row.text)
        assert value["name"] in ("fox", "dog") and 0 <= value["legs"] <= 4 and isinstance(value["lazy"], bool)


@pytest.mark.parametrize("whitespace", [0, 1, 3])
def test_blanks_in_json_are_bounded(model, tokenizer, whitespace):
    strategy = wild(Grammar("json", SCHEMA, whitespace), tokenizer)
    rows = collect(generate(model, tokenizer, "", strategy, max_tokens=120, seed=1, n=16), 16)
    longest = max(len(run) for row in rows for run in re.findall(r"\s*", row.text))
    assert longest <= whitespace
    if whitespace:
        assert longest > 0, "blanks were allowed, and no model here knows better"


def test_a_regular_expression_is_matched_whole(model, tokenizer):
    strategy = wild(Grammar("regex", r"[a-f]{3}-[0-9]{2,4}"), tokenizer)
    for row in collect(generate(model, tokenizer, "", strategy, max_tokens=30, n=8), 8):
        assert re.fullmatch(r"[a-f]{3}-[0-9]{2,4}", row.text)


def test_a_grammar_is_kept_to(model, tokenizer):
    strategy = wild(Grammar("lark", LARK), tokenizer)
    for row in collect(generate(model, tokenizer, "", strategy, max_tokens=60, n=4), 4):
        if row.finish_reason == "end":
            assert re.fullmatch(r"the (fox|dog)(, the (fox|dog))*\.", row.text)


@given(st.integers(0, 10**6))
@settings(max_examples=6)
def test_guesses_and_beams_keep_to_it_too(model, tokenizer, seed):
    constrained = Constrained(Grammar("regex", r"(ab|cd){2,5}x"), tokenizer)
    options = {"max_tokens": 20, "seed": seed}
    strategy = Sample(constrained, Temperature(1.5))
    alone = complete(model, tokenizer, "abab", strategy, **options)
    ahead = complete(model, tokenizer, "abab", strategy, draft=Ngrams(), **options)
    assert (ahead.tokens, ahead.text) == (alone.tokens, alone.text)
    assert re.fullmatch(r"(ab|cd){2,5}x", alone.text)


def test_a_beam_search_keeps_to_it(model, tokenizer):
    constrained = Constrained(Grammar("regex", r"(ab|cd){2,5}x"), tokenizer)
    (found,) = collect(search(model, tokenizer, "", Greedy(constrained), beams=4, max_tokens=20), 1)
    assert re.fullmatch(r"(ab|cd){2,5}x", found.text)


@pytest.mark.parametrize(
    ("kind", "source", "words"),
    [
        ("json", "{", "not valid JSON"),
        ("json", "[]", "not a JSON object"),
        ("json", '{"type": "objekt"}', "Invalid type"),
        ("regex", "[a-", "unclosed character class"),
        ("lark", "start: foo", "unknown name"),
        ("yaml", "", "kind"),
    ],
)
def test_what_is_no_grammar_is_refused(tokenizer, kind, source, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Constrained(Grammar(kind, source), tokenizer)
    assert "\n" not in caught.value.message


def test_it_describes_itself_by_its_grammar(tokenizer):
    grammar = Grammar("regex", "a+")
    assert Greedy(Constrained(grammar, tokenizer)).describe() == [f"Constrained(grammar={grammar!r})", "Greedy"]
