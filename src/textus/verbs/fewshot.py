"""Build a prompt from solved examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.fewshot import TEMPLATE, Choice, Example, Template, choose_examples
from textus.decoding.prompt import framed
from textus.verbs import jsonl

EXAMPLE = '{"input": "1 + 1", "output": "2"}'


def few_shot_prompt(
    opened: Checkpoint,
    examples: Path,
    question: str,
    *,
    shots: int,
    choice: Choice = "fixed",
    template: str = TEMPLATE,
    seed: int = 0,
) -> tuple[str, str]:
    """Return the prompt that shows `shots` examples of a file before `question`, and what stands behind an answer."""
    form = Template(template)
    read = [Example(line["input"], line["output"]) for line in jsonl.read(examples, ("input", "output"), EXAMPLE)]
    chosen = choose_examples(read, question, shots, choice, seed=seed, embed=lambda texts: mean_states(opened, texts))
    return form.prompt(chosen, question), form.ending


@torch.inference_mode()
def mean_states(opened: Checkpoint, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Give each text the mean of the model's last states over its tokens, as many as the context holds."""
    vectors = []
    for text in texts:
        tokens = framed(opened.model, opened.tokenizer, text, cut="end")
        states = opened.model.encode(torch.tensor([tokens], device=opened.model.embedding.weight.device))
        vectors.append(states[0].float().mean(0).cpu().numpy())
    return np.stack(vectors)
