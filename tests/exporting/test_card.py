"""A card holds what is known, in a form that the hub reads, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.exporting.card import Assumptions, Known, card

ASSUMED = Assumptions(100.0, 480.0, 0.15)
SCORE = {"name": "bits_per_byte", "value": 1.48, "error": 0.011, "unit": "bits/byte", "tokenizer": "t", "data": "d"}
FULL: dict[str, dict[str, Any]] = {
    "provenance": {
        "corpus": "376c07642a2b",
        "parent": "",
        "settings": {"objective": {"name": "causal"}, "training": {"steps": 3, "seed": 1, "keep_last": 2}},
        "versions": {"textus": "0.1.0", "torch": "2.13.0"},
    },
    "training": {"seconds": 3600.0, "steps": 3, "tokens": 768, "peak_memory_bytes": 2**30},
    "result": {"scores": [SCORE], "baselines": {"xz": 1.77, "details": {"xz_alone": 2.2}}},
    "corpus": {
        "splits": {"train": {"documents": 233, "bytes": 11_590_953}},
        "documents": {"read": 249, "dropped": {"exact": 3}},
        "languages": {"en": 240, "de": 6, "nv": 1},
        "licences": {},
        "private": {"email": 2},
        "sources": {"a|b/": {"kept": {"documents": 5, "bytes": 9}}},
        "leakage": {"held-out documents": 16, "of these seen in training": 1},
    },
}


def known(**parts: Any) -> Known:
    return Known("my: model", 348_608, parts.pop("reads", "causal"), 256, 3968, **({"provenance": {}} | parts))


def test_all_that_is_known_is_said() -> None:
    text = card(known(**FULL), "cc-by-4.0", ASSUMED)
    for words in (
        "348,608 parameters, a context of 256 tokens, a vocabulary of 3,968",
        "- train: 233 documents, 11.59 MB",
        "- read 249 documents; dropped: exact 3",
        "- sources: a|b/ 5",
        "- languages, by document: en 240, de 6, nv 1",
        "- personal data and secrets found, by kind: email 2",
        "- of 16 held-out documents, training shows 1 by what is nearly the same",
        "| bits per byte | 1.48 | 0.011 | bits/byte |",
        "Bits per byte of others on the same text, after the training text: xz 1.770.",
        "| objective | causal |",
        "Training steps took 3,600 measured seconds. Assumed are 100 W",
        "an estimate of 0.1 kWh, 48 g, and a price of 0.015",
        "| corpus | `376c07642a2b` |",
    ):
        assert words in text, words
    assert "keep_last" not in text
    assert "licences that documents name" not in text


def test_the_hub_reads_its_head() -> None:
    hub = pytest.importorskip("huggingface_hub")
    read = hub.ModelCard(card(known(**FULL), "cc-by-4.0", ASSUMED)).data
    assert (read.license, read.library_name, read.pipeline_tag) == ("cc-by-4.0", "transformers", "text-generation")
    assert read.language == ["en", "de"], "one document in 247 makes no language of the model"
    (result,) = read.eval_results
    assert (result.metric_type, result.metric_value) == ("bits_per_byte", 1.48)
    assert result.dataset_name == "validation part of corpus 376c07642a2b"


@given(parts=st.sets(st.sampled_from(sorted(FULL))), reads=st.sampled_from(["causal", "bidirectional", "both"]))
def test_what_is_not_known_is_not_said(parts: set[str], reads: str) -> None:
    yaml = pytest.importorskip("yaml")
    text = card(known(**{name: FULL[name] for name in parts}, reads=reads), "", ASSUMED)
    _, head, body = text.split("---\n", 2)
    values = yaml.safe_load(head)
    assert "license" not in values
    assert ("model-index" in values) == ("## Scores" in body) == ("result" in parts)
    assert ("language" in values) == ("## Text" in body) == ("corpus" in parts)
    assert ("## Energy" in body) == ("training" in parts)
    assert ("## Where it came from" in body) == ("provenance" in parts)
    assert "None" not in text
    assert "\n\n\n" not in text
