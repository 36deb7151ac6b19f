from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textus
from textus.cli.main import main
from textus.errors import ConfigError
from textus.evaluation.documents import frame
from textus.evaluation.perplexity import evaluate

SMALL = {
    "corpus.work.workers": 1,
    "training.steps": 3,
    "training.threads": 1,
    "training.batch_tokens": 256,
    "training.evaluate_tokens": 512,
    "model.context_length": 64,
    "model.num_layers": 1,
    "model.hidden_size": 32,
    "tokenizer.vocab_size": 400,
}
VARY = "corpus.deduplicate=none,corpus.filter.profile=none"
OUT = Path("runs/ablation")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, textus.Ablation]:
    """An ablation of texts of which a third are copies, and none are broken."""
    from pydoc_data.topics import topics

    folder = tmp_path_factory.mktemp("ablation")
    texts = [topics[name][:2500] for name in sorted(topics)[:30]]
    lines = [json.dumps({"text": text}) for text in (*texts, *(text + " Again." for text in texts[:10]))]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = textus.ablate("texts.jsonl", VARY, out=OUT, seeds=2, settings=SMALL)
    return folder, found


@pytest.fixture
def found(made: tuple[Path, textus.Ablation], monkeypatch: pytest.MonkeyPatch, one_thread: None) -> textus.Ablation:
    monkeypatch.chdir(made[0])
    return made[1]


def again(**changes: Any) -> textus.Ablation:
    given: dict[str, Any] = {"out": OUT, "seeds": 2, "settings": SMALL, **changes}
    return textus.ablate("texts.jsonl", given.pop("vary", VARY), **given)


def test_arms_differ_in_their_text_alone(found: textus.Ablation) -> None:
    full, copies, _ = found.arms
    assert copies.facts["documents"] > full.facts["documents"]
    assert copies.facts["vocabulary"] == full.facts["vocabulary"] == 400
    records = [json.loads((OUT / arm.change.folder / "seed-1/training.json").read_text()) for arm in found.arms[:2]]
    assert records[0]["steps"] == records[1]["steps"] == 3
    identity = [{**record["identity"], "training_data": 0, "validation_data": 0} for record in records]
    assert identity[0]["model"] == identity[1]["model"]
    assert records[0]["identity"]["training"] == records[1]["identity"]["training"]


def test_a_step_that_changes_no_text_has_no_effect_and_costs_no_model(found: textus.Ablation) -> None:
    effect = found.effects["corpus.filter.profile=none"]
    assert (effect.difference, effect.low, effect.high, effect.p_value) == (0, 0, 0, 1)
    assert not list((OUT / "corpus.filter.profile=none").glob("seed-*"))


def test_every_arm_is_measured_on_the_same_bytes_as_by_hand(found: textus.Ablation) -> None:
    opened = textus.load(OUT / "corpus.deduplicate=none/seed-2")
    (path,) = (OUT / "pool/held_out").glob("*.parquet")
    import pyarrow.parquet

    texts = pyarrow.parquet.read_table(path).column("text").to_pylist()
    framed = (frame(opened.tokenizer, textus.corpus.document.Document(text, "")) for text in texts)
    score = evaluate(opened.model, opened.tokenizer, framed, data="", stride=32).score("bits_per_byte")
    assert found.arms[1].bits_per_byte(found.num_bytes)[1] == pytest.approx(score.value, rel=1e-6)
    assert found.num_bytes.sum() == sum(len(text.encode()) for text in texts)


def test_no_arm_has_a_held_out_text_in_training(found: textus.Ablation) -> None:
    import pyarrow.parquet

    held = pyarrow.parquet.read_table(OUT / "pool/held_out").column("text").to_pylist()
    for arm in found.arms:
        trained = [document.text for document in textus.Corpus.open(arm.directory / "corpus").documents("train")]
        assert not any(text[:200] in other for text in held for other in trained)
        assert arm.facts["held out, seen"] == 0 and arm.facts["runs of words, seen"] < 0.1


def test_a_second_call_makes_only_what_is_missing(found: textus.Ablation) -> None:
    weights = sorted(OUT.glob("*/seed-*/model.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    for name in ("model.safetensors", "held_out.json"):
        (OUT / f"full/seed-2/{name}").unlink()
    repeated = again()
    assert [path.stat().st_mtime_ns for path in weights if path.parent != OUT / "full/seed-2"] == [
        when for path, when in zip(weights, before, strict=True) if path.parent != OUT / "full/seed-2"
    ]
    for arm, other in zip(found.arms, repeated.arms, strict=True):
        np.testing.assert_array_equal(arm.nats, other.nats)
    more = again(seeds=3)
    np.testing.assert_array_equal(more.arms[0].nats[:2], found.arms[0].nats)


def test_a_seed_of_an_arm_is_a_run_like_others(found: textus.Ablation) -> None:
    place = OUT / "full/seed-1"
    assert textus.inspect(place).sections
    assert math.isfinite(textus.evaluate(place).score("bits_per_byte").value)


def test_the_command_prints_what_is_kept(found: textus.Ablation, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ablate", "texts.jsonl", "--vary", VARY, "--seeds", "2", "-o", str(OUT), "--json"]
    assert main([*words, *(f"{key}={value}" for key, value in SMALL.items())]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((OUT / "ablation.json").read_text())
    assert [row["change"] for row in told["effects"]] == VARY.split(",")
    assert (OUT / "report.html").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 1}, "tell nothing of chance"),
        ({"held_out_mb": 0.0}, "megabytes to measure on"),
        ({"vary": "corpus.deduplicate=near"}, "changes nothing"),
        ({"vary": "corpus.deduplicate=nearly"}, "must be"),
    ],
)
def test_what_makes_no_sense_is_said(found: textus.Ablation, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        again(**changes)


def test_a_runs_directory_is_left_alone(found: textus.Ablation) -> None:
    with pytest.raises(ConfigError, match="is a run's directory"):
        again(out=OUT / "full/seed-1")
