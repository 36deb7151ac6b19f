from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from textus.config import replace
from textus.dataset.labelled_texts import Labelled, LabelledText, TaggedText
from textus.evaluation.features import bytes_an_item, features, layer_states, poolings, row
from textus.model.transformer import Transformer
from textus.progress import SILENT


def text(words: str, label: str, pair: str | None = None) -> LabelledText:
    return LabelledText("", words, pair, (label,))


TEXTS: list[Labelled] = [text("the fox", "1"), text("a", "0"), text("the lazy dog", "1", "over it")]
SENTENCES: list[Labelled] = [
    TaggedText("", ("the", "brown", "fox"), ("D", "A", "N")),
    TaggedText("", ("dog",), ("N",)),
]


@pytest.fixture(scope="module", params=["causal", "hybrid", "encoder"])
def network(request: Any, model: Transformer) -> Transformer:
    encoder = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}
    changes = {"causal": {}, "hybrid": {"reads_both_ways": True}, "encoder": encoder}[request.param]
    return Transformer(type(model.config)(**{**vars(model.config), **changes, "dropout": 0.1}), seed=3).eval()


def states_by_hand(network: Transformer, tokens: list[int]) -> list[np.ndarray]:
    """Cut the network short behind each block; the first state is the embedding."""
    found = []
    with torch.no_grad():
        shown = torch.tensor([tokens])
        causal = "bidirectional" not in network.config.readings
        for layers in range(1, len(network.blocks)):
            kept = network.blocks
            network.blocks = kept[:layers]
            norm, network.finish = network.finish, lambda x, added: x if added is None else x + added  # type: ignore[assignment,method-assign]
            found.append(network.encode(shown, attention="causal" if causal else "bidirectional")[0].numpy())
            network.blocks, network.finish = kept, norm  # type: ignore[method-assign]
        start = network.embedding(shown)
        if network.config.family == "modernbert":
            start = network.embedding_norm(start, torch.float32)
        last = network.encode(shown, attention="causal" if causal else "bidirectional")[0].numpy()
    return [start[0].numpy(), *found, last]


def test_features_are_the_pooled_states_of_each_layer(network: Transformer, tokenizer: Any) -> None:
    how = poolings(network, words=False)
    assert how == (("mean", "last") if network.config.readings == ("causal",) else ("mean", "first", "last"))
    rows = [row(tokenizer, one, 16) for one in TEXTS]
    with SILENT.task("", 0, "") as task:
        found = features(network, rows, how, task)
    assert found.values.shape == (3, len(how), 3, 32)
    assert found.values.nbytes == 3 * bytes_an_item(network, how)
    pooled = {"mean": lambda x: x.mean(0), "first": lambda x: x[0], "last": lambda x: x[-1]}
    for layer, pooling, values in found.named():
        for number, one in enumerate(rows):
            expected = pooled[pooling](states_by_hand(network, one.tokens)[layer])
            np.testing.assert_allclose(values[number], expected, rtol=2e-4, atol=2e-5)


def test_words_have_the_states_of_their_pieces(network: Transformer, tokenizer: Any) -> None:
    how = poolings(network, words=True)
    rows = [row(tokenizer, one, 16) for one in SENTENCES]
    with SILENT.task("", 0, "") as task:
        found = features(network, rows, how, task)
    states = states_by_hand(network, rows[0].tokens)
    for layer in range(3):
        for number, (start, stop) in enumerate(rows[0].spans):
            part = states[layer][start:stop]
            for which, expected in enumerate((part.mean(0), part[0], part[-1])):
                np.testing.assert_allclose(found.values[layer, which, number], expected, rtol=2e-4, atol=2e-5)
    pieces = [tokenizer.decode(rows[0].tokens[start:stop]) for start, stop in rows[0].spans]
    assert pieces == ["the", " brown", " fox"]


def test_what_is_too_long_is_cut_and_counted(tokenizer: Any) -> None:
    long = "jumps over the lazy dog " * 5
    cut = row(tokenizer, text(long, "1"), 16)
    assert (len(cut.tokens), cut.spans, cut.cut) == (16, [(0, 16)], 1)
    pair = row(tokenizer, text(long, "1", "the fox"), 16)
    second = [tokenizer.end, *tokenizer.encode("the fox")]
    assert pair.tokens[-len(second) :] == second and len(pair.tokens) == 16 and pair.cut == 1
    words = row(tokenizer, TaggedText("", ("qzvwk",) * 9, ("X",) * 9), 16)
    assert words.cut == 9 - len(words.spans) > 0 and len(words.tokens) <= 16


def test_looking_leaves_no_hook(network: Transformer) -> None:
    layer_states(network, torch.tensor([[0, 5]]), None, network.config.readings[0])
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in network.blocks)


def test_a_reading_is_that_of_the_model(model: Transformer) -> None:
    hybrid = Transformer(replace(model.config, {"reads_both_ways": True}), seed=1).eval()
    tokens = torch.tensor([[0, 5, 6, 7]])
    changed = torch.tensor([[0, 5, 6, 8]])
    with torch.no_grad():
        for reading, sees in (("causal", False), ("bidirectional", True)):
            first, second = (layer_states(hybrid, shown, None, reading)[1][0, 1] for shown in (tokens, changed))  # type: ignore[arg-type]
            assert bool((first != second).any()) is sees
