"""Models with heads on disk: there and back, and equal in transformers and sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from textus.checkpoint.checkpoint import load, load_model, read_config, write_model
from textus.errors import CheckpointError
from textus.model.config import ModelConfig
from textus.model.headed import Headed, TaskConfig
from textus.model.pooling import shortened
from textus.tokenizer.alphabet import BYTES
from textus.tokenizer.content import SPECIAL_TOKENS, trained
from textus.tokenizer.tokenizer import Tokenizer

SHAPE = {
    "vocab_size": 260,
    "context_length": 32,
    "num_layers": 2,
    "hidden_size": 16,
    "num_heads": 2,
    "num_kv_heads": 2,
    "head_size": 8,
    "intermediate_size": 24,
}
MODELS = {
    "encoder": ({"attention": "bidirectional", "prediction_offset": 0, "family": "modernbert"}, "bidirectional"),
    "hybrid": ({"reads_both_ways": True}, "bidirectional"),
    "causal": ({}, "causal"),
}
POOLINGS = {"encoder": ("mean", "cls"), "hybrid": ("last",), "causal": ("last",)}
TEXTS = ["A loom weaves.", "Wool", "Grey threads of wool"]
LABELS = ("no", "yes", "maybe")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    names = [*SPECIAL_TOKENS, *sorted(BYTES)]
    return Tokenizer(trained({name: token for token, name in enumerate(names)}, []))


def made(kind: str, task: str, pooling: str = "mean") -> Headed:
    changes, reading = MODELS[kind]
    labels = () if task == "embed" else LABELS
    asked = TaskConfig(task, labels, pooling=pooling, reading=reading)  # type: ignore[arg-type]
    model = Headed(ModelConfig(**(SHAPE | changes)), asked, seed=3).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
            elif name == "classifier_bias.weight":
                parameter.copy_(torch.arange(3) / 2)
    return model


def rows(tokenizer: Tokenizer) -> list[torch.Tensor]:
    return [torch.tensor([[tokenizer.end, *tokenizer.encode(text)]]) for text in TEXTS]


@pytest.mark.parametrize(
    ("kind", "pooling"), [(kind, pooling) for kind, several in POOLINGS.items() for pooling in several]
)
def test_texts_have_the_same_labels_in_transformers(tmp_path, tokenizer, kind, pooling):
    transformers = pytest.importorskip("transformers")
    model = made(kind, "classify", pooling)
    write_model(tmp_path, model, tokenizer, {})
    again = load_model(tmp_path)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert type(theirs).__name__ == ("ModernBert" if kind == "encoder" else "Qwen3") + "ForSequenceClassification"
    assert theirs.config.id2label == dict(enumerate(LABELS)) and theirs.config.label2id["yes"] == 1
    batch = transformers.AutoTokenizer.from_pretrained(tmp_path)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        padded = theirs(batch.input_ids, batch.attention_mask).logits
        for row, logits in zip(rows(tokenizer), padded, strict=True):
            mine = model.logits(model.pooled(row))
            assert torch.allclose(again.logits(again.pooled(row)), mine, atol=1e-5)
            assert torch.allclose(theirs(row).logits, mine, atol=1e-4)
            assert torch.allclose(logits, mine[0], atol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_words_have_the_same_labels_in_transformers(tmp_path, tokenizer, kind):
    transformers = pytest.importorskip("transformers")
    model = made(kind, "tag")
    write_model(tmp_path, model, tokenizer, {})
    theirs = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    again = load(tmp_path).model
    assert isinstance(again, Headed) and again.task == model.task
    with torch.inference_mode():
        for row in rows(tokenizer):
            mine = model.logits(model.encode(row, attention=model.task.reading))
            assert torch.allclose(theirs(row).logits, mine, atol=1e-4)
            found = again.logits(again.encode(row, attention=model.task.reading))
            assert torch.allclose(found, mine, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_vectors_are_the_same_in_sentence_transformers(tmp_path, tokenizer, kind, pooling):
    library = pytest.importorskip("sentence_transformers")
    model = made(kind, "embed", pooling)
    write_model(tmp_path, model, tokenizer, {})
    theirs = library.SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    again = load(tmp_path).model
    assert isinstance(again, Headed)
    for row, vector in zip(rows(tokenizer), theirs, strict=True):
        with torch.inference_mode():
            mine = shortened(model.pooled(row), 16, normalise=True)[0]
            assert torch.allclose(shortened(again.pooled(row), 16, normalise=True)[0], mine, atol=1e-5)
        assert mine.numpy() == pytest.approx(vector, abs=1e-4)


def test_a_model_without_tokens_is_no_start_for_one_that_has_some(tmp_path, tokenizer):
    write_model(tmp_path, made("encoder", "classify"), tokenizer, {})
    with pytest.raises(CheckpointError, match="which predicts no tokens"):
        read_config(tmp_path)


def damage(place: Path, what: str) -> None:
    config = json.loads((place / "config.json").read_text())
    if what == "weights":
        weights = load_file(place / "model.safetensors")
        weights.pop("classifier.bias")
        save_file(weights, place / "model.safetensors")
    elif what == "architecture":
        config["architectures"] = ["ModernBertForTokenClassification"]
    elif what == "labels":
        config["textus"]["task"]["labels"] = ["no"]
    else:
        config["textus"]["task"]["task"] = "guess"
    (place / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("weights", r"lacks classifier.bias"),
        ("architecture", "holds .*TokenClassification.*, and its task is classify"),
        ("labels", r"classifier.weight has shape \[3, 16\]"),
        ("task", r"`textus.task.task` must be"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, tokenizer, what, words):
    write_model(tmp_path, made("encoder", "classify"), tokenizer, {})
    damage(tmp_path, what)
    with pytest.raises(CheckpointError, match=words):
        load_model(tmp_path)
