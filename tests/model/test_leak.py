import dataclasses

import pytest
import torch

from textus.errors import ArtefactError
from textus.model import attention
from textus.model.config import ModelConfig
from textus.model.leak import check_leaks
from textus.model.transformer import Transformer

CONFIG = ModelConfig(
    vocab_size=40,
    context_length=32,
    num_layers=2,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=1,
    head_size=8,
    intermediate_size=24,
)


@pytest.mark.parametrize("reading", ["causal", "bidirectional"])
@pytest.mark.parametrize("context", [1, 2, 32])
def test_a_sound_model_passes(reading, context):
    model = Transformer(dataclasses.replace(CONFIG, attention=reading, context_length=context)).train()
    check_leaks(model)
    assert model.training


class _PeeksAhead(Transformer):
    def encode(self, tokens, documents=None, cache=None):
        states = super().encode(tokens, documents, cache)
        return states + 0.01 * states.roll(-1, 1)


class _ReadsOtherDocuments(Transformer):
    def encode(self, tokens, documents=None, cache=None):
        return super().encode(tokens, None, cache)


class _SeesOnlyItself(Transformer):
    def encode(self, tokens, documents=None, cache=None):
        return super().encode(tokens, torch.arange(tokens.shape[1]).expand(tokens.shape), cache)


@pytest.mark.parametrize(
    ("planted", "reading", "words"),
    [
        (_PeeksAhead, "causal", "output 0 of the model depends on input 1, which comes after it"),
        (_ReadsOtherDocuments, "causal", "depends on input 0, one of another document"),
        (_ReadsOtherDocuments, "bidirectional", "one of another document"),
        (_SeesOnlyItself, "causal", "output 1 of the model depends on no input before it"),
    ],
)
def test_a_planted_fault_is_found(planted, reading, words):
    model = planted(dataclasses.replace(CONFIG, attention=reading))
    with pytest.raises(ArtefactError, match=words):
        check_leaks(model)


def test_a_leak_of_the_training_path_alone_is_found(monkeypatch):
    sound = attention._attend_in_blocks
    monkeypatch.setattr(attention, "_attend_in_blocks", lambda *parts: sound(*parts[:3], None, False))
    with pytest.raises(ArtefactError, match="comes after it"):
        check_leaks(Transformer(CONFIG))


class _ReadsLeftToRight(Transformer):
    def encode(self, tokens, documents=None, cache=None):
        self.config, said = dataclasses.replace(self.config, attention="causal"), self.config
        states = super().encode(tokens, documents, cache)
        self.config = said
        return states


def test_one_sided_attention_is_not_bidirectional():
    check_leaks(_ReadsLeftToRight(CONFIG))
    with pytest.raises(ArtefactError, match="output 0 of the model depends on no input after it"):
        check_leaks(_ReadsLeftToRight(dataclasses.replace(CONFIG, attention="bidirectional")))


def test_weights_that_are_no_numbers_are_named():
    model = Transformer(CONFIG)
    with torch.no_grad():
        model.norm.weight[0] = float("nan")
    with pytest.raises(ArtefactError, match="not finite"):
        check_leaks(model)
