"""An ONNX file computes what the model does, with padding, with any lengths, and on from what it has read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.document import Document
from textus.evaluation.documents import frame
from textus.evaluation.masked import evaluate_masked
from textus.evaluation.perplexity import evaluate
from textus.exporting import onnx

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

ENCODER = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}
DECODER = {"rope_scaling": "yarn", "rope_factor": 4.0, "rope_original_context": 8, "tied_embeddings": True}
SHAPES: dict[str, dict[str, Any]] = {"decoder": DECODER, "encoder": ENCODER}
"""Two only, of one layer: torch takes seconds to trace one."""


@pytest.fixture(scope="module")
def opened(made: Any) -> dict[str, Checkpoint]:
    return {name: made(num_layers=1, **shape) for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def graphs(opened: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> dict[str, onnx.Graph]:
    folder = tmp_path_factory.mktemp("graphs")
    for name, model in opened.items():
        onnx.write(model, folder / f"{name}.onnx", "f32")
    assert len(list(folder.iterdir())) == len(opened), "nothing else is left behind"
    return {name: onnx.Graph(folder / f"{name}.onnx", model.config) for name, model in opened.items()}


def ours(model: Checkpoint, rows: torch.Tensor, documents: torch.Tensor | None = None) -> torch.Tensor:
    with torch.inference_mode():
        return model.model(rows, documents).logits


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 24), (2, 5), (3, 32)])
def test_logits_are_the_same_whatever_the_size(opened: Any, graphs: Any, name: str, batch: int, time: int) -> None:
    rows = torch.randint(0, 320, (batch, time), generator=torch.Generator().manual_seed(time))
    assert (graphs[name].encode(rows) - ours(opened[name], rows)).abs().max() < 1e-4


def test_an_encoder_does_not_see_padding(opened: Any, graphs: Any, rows: torch.Tensor) -> None:
    documents = torch.zeros_like(rows)
    documents[1, 9:] = -1
    found = graphs["encoder"].encode(rows, documents)
    assert (found[0] - ours(opened["encoder"], rows)[0]).abs().max() < 1e-4
    assert (found[1, :9] - ours(opened["encoder"], rows[1:, :9])[0]).abs().max() < 1e-4


def test_an_encoder_gives_its_states_too(opened: Any, graphs: Any, rows: torch.Tensor) -> None:
    given = {"input_ids": rows.numpy(), "attention_mask": np.ones(rows.shape, np.int64)}
    (found,) = graphs["encoder"].session.run(["last_hidden_state"], given)
    with torch.inference_mode():
        assert (torch.from_numpy(found) - opened["encoder"].model.encode(rows)).abs().max() < 1e-4


def read_on(
    graph: onnx.Graph, tokens: np.ndarray, mask: np.ndarray, kept: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """One call as a user's loop makes it."""
    logits, *present = graph.session.run(None, {"input_ids": tokens, "attention_mask": mask, **kept})
    return logits, dict(zip(kept, present, strict=True))


def test_reading_on_is_reading_at_once(opened: Any, graphs: Any, rows: torch.Tensor) -> None:
    graph, tokens, done = graphs["decoder"], rows.numpy(), 0
    kept, found = onnx.nothing_read(graph.config, len(tokens)), []
    for size in (1, 7, 1, 15):
        mask = np.ones((len(tokens), done + size), np.int64)
        logits, kept = read_on(graph, tokens[:, done : done + size], mask, kept)
        found.append(logits)
        done += size
    assert done == tokens.shape[1]
    assert (torch.from_numpy(np.concatenate(found, 1)) - ours(opened["decoder"], rows)).abs().max() < 1e-4


def test_greedy_texts_are_the_same(opened: Any, graphs: Any, rows: torch.Tensor) -> None:
    graph, wanted = graphs["decoder"], rows[:1, :6]
    kept, new, written = onnx.nothing_read(graph.config, 1), wanted.numpy(), []
    for _ in range(20):
        mask = np.ones((1, 6 + len(written)), np.int64)
        logits, kept = read_on(graph, new, mask, kept)
        new = logits[:, -1:].argmax(-1)
        written.append(int(new[0, 0]))
        with torch.inference_mode():
            wanted = torch.cat([wanted, opened["decoder"].model(wanted).logits[:, -1:].argmax(-1)], 1)
    assert written == wanted[0, 6:].tolist()
    assert len(set(written)) > 1


def test_padding_on_the_left_takes_no_place(opened: Any, graphs: Any, rows: torch.Tensor) -> None:
    graph, short = graphs["decoder"], 5
    tokens = np.stack([rows[0, :12].numpy(), np.concatenate([np.zeros(7, np.int64), rows[1, :short].numpy()])])
    mask = np.ones((2, 12), np.int64)
    mask[1, :7] = 0
    logits, kept = read_on(graph, tokens, mask, onnx.nothing_read(graph.config, 2))
    later, _ = read_on(graph, rows[:, 12:14].numpy(), np.concatenate([mask, np.ones((2, 2), np.int64)], 1), kept)
    both = torch.cat([rows[1:, :short], rows[1:, 12:14]], 1)
    assert np.isfinite(logits).all()
    assert (torch.from_numpy(logits[0]) - ours(opened["decoder"], rows[:1, :12])[0]).abs().max() < 1e-4
    assert (torch.from_numpy(logits[1, 7:]) - ours(opened["decoder"], both)[0, :short]).abs().max() < 1e-4
    assert (torch.from_numpy(later[1]) - ours(opened["decoder"], both)[0, short:]).abs().max() < 1e-4


def test_int8_is_smaller_and_near(opened: Any, graphs: Any, rows: torch.Tensor, tmp_path: Path) -> None:
    for name, graph in graphs.items():
        onnx.quantize(Path(graph.path), tmp_path / f"{name}.onnx")
        small = onnx.Graph(tmp_path / f"{name}.onnx", opened[name].config)
        exact = graph.encode(rows).log_softmax(-1)
        off = (small.encode(rows).log_softmax(-1) - exact).abs()
        assert 1e-5 < off.mean() < 0.05 * exact.std()
        saved = Path(graph.path).stat().st_size - (tmp_path / f"{name}.onnx").stat().st_size
        assert saved > 0.5 * 4 * opened[name].config.num_parameters(), "graphs this small are half names"


def test_it_is_measured_as_the_model_is(opened: Any, graphs: Any, tokenizer: Any) -> None:
    documents = [
        frame(tokenizer, Document(text, "a")) for text in ("The loom wove.", "Nobody wore 1234 ells of cloth. " * 4)
    ]
    for name, measure in (("decoder", partial(evaluate, stride=16)), ("encoder", evaluate_masked)):
        wanted = measure(opened[name].model, tokenizer, documents, data="")
        found = measure(graphs[name], tokenizer, documents, data="")
        assert [score.name for score in found.scores] == [score.name for score in wanted.scores]
        for one, other in zip(found.scores, wanted.scores, strict=True):
            assert one.value == pytest.approx(other.value, rel=1e-4)


def test_a_file_shows_nothing_of_the_machine_that_wrote_it(graphs: Any) -> None:
    for graph in graphs.values():
        assert b"/exporting/" not in Path(graph.path).read_bytes()
