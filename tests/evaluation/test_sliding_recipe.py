"""Our perplexity is that of transformers' recipe for models of fixed length, on a directory as training left it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import textus
from textus.corpus.document import Document
from textus.evaluation.documents import frame
from textus.evaluation.perplexity import evaluate


@pytest.mark.parametrize("stride", [16, 64])
def test_it_is_the_sliding_window_of_transformers(trained: Path, one_thread: None, stride: int) -> None:
    transformers = pytest.importorskip("transformers")
    run = trained / "runs" / "first"
    opened = textus.load(run)
    text = (trained / "notes.md").read_text("utf-8")
    tokens, num_bytes = frame(opened.tokenizer, Document(text, ""))
    found = evaluate(opened.model, opened.tokenizer, [(tokens, num_bytes)], data="", stride=stride)

    model = transformers.AutoModelForCausalLM.from_pretrained(run, dtype=torch.float32).eval()
    ids = torch.from_numpy(tokens.astype("int64"))[None]
    # the recipe counts the token that is to be predicted in its window, we do not
    max_length = opened.config.context_length + 1
    assert ids.shape[1] > 3 * max_length
    total, count, previous = 0.0, 0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + max_length, ids.shape[1])
        fresh = end - previous
        window, targets = ids[:, begin:end], ids[:, begin:end].clone()
        targets[:, :-fresh] = -100
        with torch.no_grad():
            loss = model(window, labels=targets).loss
        asked = int((targets[:, 1:] != -100).sum())
        total, count, previous = total + loss.item() * asked, count + asked, end
        if end == ids.shape[1]:
            break
    assert count == found.tokens
    assert found.score("perplexity").value == pytest.approx(math.exp(total / count), rel=1e-4)
