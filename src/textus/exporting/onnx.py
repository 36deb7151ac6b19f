"""Write a model for ONNX Runtime, and let it compute what such a file holds."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import CheckpointError, ConfigError
from textus.exporting.extras import needed
from textus.exporting.graph import Decoder, Encoder, example
from textus.exporting.whole import whole
from textus.model.config import ModelConfig
from textus.model.transformer import Reading, Transformer

Type = Literal["f32", "int8"]
OPSET = 20
"""Known to ONNX Runtime from 1.17 on."""
FAMILIES = ("qwen3", "modernbert")
"""Whose parts the graphs are made of."""
LARGEST_BYTES = 2**31 - 2**24
"""What protobuf, in which the file is written, can hold."""


def check(opened: Checkpoint) -> None:
    """Refuse a model that one file cannot hold, or whose parts the graph would compute otherwise."""
    config = opened.config
    if config.family not in FAMILIES or config.window:
        what = "local layers" if config.family in FAMILIES else f"the parts of {config.family}"
        raise CheckpointError(
            f"{opened.directory}: has {what}, which our graphs do not know",
            hint="use the exporter of Hugging Face's optimum",
        )
    size = 4 * opened.config.num_parameters()
    if size > LARGEST_BYTES:
        raise ConfigError(
            f"{opened.directory}: {size / 1e9:.1f} GB of float32, and an ONNX file holds less than 2.1 GB",
            hint="export it with --to gguf, or let vLLM or transformers open the directory as it is",
        )


def write(opened: Checkpoint, path: Path, kind: Type) -> list[str]:
    """Write the file whole or not at all; return what whoever uses it has to know."""
    check(opened)
    needed("onnx", ("onnx", "onnxscript", "onnxruntime"))
    model = Transformer(opened.config).eval()
    model.load_state_dict({name: value.float().cpu() for name, value in opened.model.state_dict().items()})
    with whole(path) as partial, tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
        traced = Path(folder) / "f32.onnx"
        _trace(model, traced)
        if kind == "int8":
            quantize(traced, partial)
        else:
            traced.replace(partial)
    notes = ["tokens are made by the tokenizer.json beside the model; the file has none"]
    if opened.config.reads_both_ways:
        notes.append("the model also reads both ways, and this file holds its reading from left to right")
    return notes


def _trace(model: Transformer, path: Path) -> None:
    module = Decoder(model) if model.config.attention == "causal" else Encoder(model)
    inputs, sizes = example(model.config, module)
    with _silent(), torch.inference_mode(False), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            inputs,
            dynamo=True,
            dynamic_shapes=sizes,
            input_names=module.inputs,
            output_names=module.outputs,
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        for node in program.model.graph.all_nodes():
            node.metadata_props.clear()  # where in our sources it comes from, which is longer than the node
        program.save(path, external_data=False)


def quantize(path: Path, target: Path) -> None:
    """Write matrices as bytes with a scale a column; what is multiplied with them is quantised as it comes."""
    quantization = needed("onnx", ("onnxruntime.quantization",))
    with _silent():
        # unsigned: products of unsigned with signed bytes overflow on processors without instructions for them
        quantization.quantize_dynamic(path, target, per_channel=True, weight_type=quantization.QuantType.QUInt8)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporter's and the quantizer's remarks on themselves from the user."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


class Graph(nn.Module):
    """A network whose states are logits, computed by ONNX Runtime on the CPU: it can be measured as ours are."""

    def __init__(self, path: Path, config: ModelConfig) -> None:
        super().__init__()
        runtime = needed("onnx", ("onnxruntime",))
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self.session: Any = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.path = path
        self.config = config
        self.embedding = nn.Embedding(1, 1)  # asked where the network is
        self.head = nn.Identity()

    def encode(
        self,
        tokens: Int[Tensor, "batch time"],
        documents: Int[Tensor, "batch time"] | None = None,
        cache: None = None,
        attention: Reading = "config",
    ) -> Float[Tensor, "batch time vocab"]:
        """Return the logits of each position; a row holds one document."""
        mask = torch.ones_like(tokens) if documents is None else (documents >= 0).long()
        given: dict[str, Any] = {"input_ids": tokens.numpy(), "attention_mask": mask.numpy()}
        if self.config.attention == "causal":
            given |= nothing_read(self.config, len(tokens))
        return torch.from_numpy(self.session.run(["logits"], given)[0])

    def before_head(self, states: Tensor) -> Tensor:
        """Return the logits as they are."""
        return states


def nothing_read(config: ModelConfig, batch: int) -> dict[str, Any]:
    """Return the keys and values of nothing, which a decoder's graph is first given."""
    empty = np.zeros((batch, config.num_kv_heads, 0, config.head_size), np.float32)
    return {f"past_key_values.{layer}.{part}": empty for layer in range(config.num_layers) for part in ("key", "value")}
