"""Beam search: the likeliest whole text, as far as a few candidates at a time can find it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from textus.config import check
from textus.decoding.piece import Piece
from textus.decoding.prompt import Cut, framed
from textus.decoding.reader import Reader
from textus.decoding.step import refuse
from textus.decoding.strategy import Strategy
from textus.decoding.writer import Ending, Writer
from textus.errors import ConfigError
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class _Text:
    """A candidate: what it says and how likely that is."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    score: float


def search(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    strategy: Strategy,
    *,
    beams: int,
    length_penalty: float = 1.0,
    max_tokens: int,
    n: int = 1,
    stop: Sequence[str] = (),
    stop_tokens: Sequence[int] = (),
    cut: Cut = "refuse",
    bare: bool = False,
) -> list[Piece]:
    """Return the `n` best texts of those that `beams` candidates lead to, best first; each piece names its text.

    A text's score is its log-probability divided by its length, the end included, to the power `length_penalty`. It
    ends when the best candidate is worse than all `beams` finished texts: what transformers does by default. The
    processors of `strategy` work on the model's logits, which are not normalised again, so what they take counts.
    """
    check(int, n, "n", "search")
    if not 1 <= n <= beams:
        raise ConfigError(f"{n} texts of {beams} beams", hint="ask for at most as many texts as there are beams")
    ending = Ending(max_tokens, stop, frozenset(stop_tokens))
    tokens = framed(model, tokenizer, prompt, cut, bare=bare)
    reader = Reader(model, tokens, tokenizer.vocab_size)
    found = _search(reader, tokenizer, strategy, beams, length_penalty, ending)[:n]
    return [piece for row, text in enumerate(found) for piece in _pieces(tokenizer, ending, row, text)]


def _search(
    reader: Reader, tokenizer: Tokenizer, strategy: Strategy, beams: int, length_penalty: float, ending: Ending
) -> list[_Text]:
    running, finished = [_Text((), (), 0.0)], list[_Text]()
    ends = {tokenizer.end, *ending.stop_tokens}
    while running:
        candidates = _continuations(reader, strategy, running, (1 + max(1, len(ends))) * beams)
        length = len(running[0].tokens) + 1
        is_over = [_is_over(tokenizer, ending, ends, text) for _, text in candidates]
        # A text that ends is good enough only among the first: the others are there to go on in their place.
        finished += [
            dataclasses.replace(text, score=text.score / length**length_penalty)
            for (_, text), over in zip(candidates[:beams], is_over, strict=False)
            if over
        ]
        finished = sorted(finished, key=lambda text: -text.score)[:beams]
        going = [pair for pair, over in zip(candidates, is_over, strict=True) if not over][:beams]
        running = [text for _, text in going]
        if running and len(finished) == beams and running[0].score / length**length_penalty <= finished[-1].score:
            break
        if running:
            parents, tokens = zip(*((parent, text.tokens[-1]) for parent, text in going), strict=True)
            reader.branch(torch.tensor(parents, device=reader.device), torch.tensor(tokens, device=reader.device))
    return finished


@torch.inference_mode()
def _continuations(reader: Reader, strategy: Strategy, running: Sequence[_Text], most: int) -> list[tuple[int, _Text]]:
    """Return the best texts that are one token longer, each with the row that it continues."""
    logits = reader.logits()
    scores = torch.tensor([[text.score] for text in running], dtype=torch.float32, device=logits.device)
    own = logits.log_softmax(-1)
    steps: Float[Tensor, "beams vocab"] = strategy.process(logits, reader.history) - logits.logsumexp(-1, keepdim=True)
    total = (steps + scores).flatten()
    best = total.topk(min(most, len(total)))
    if not best.values[0].isfinite():
        refuse(bool(logits.amax(-1).isfinite().all()))
    found = []
    for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        row, token = divmod(place, logits.shape[1])
        if score > -torch.inf:
            text, logprob = running[row], float(own[row, token])
            found.append((row, _Text((*text.tokens, token), (*text.logprobs, logprob), score)))
    return found


def _is_over(tokenizer: Tokenizer, ending: Ending, ends: set[int], text: _Text) -> bool:
    if text.tokens[-1] in ends or len(text.tokens) >= ending.max_tokens:
        return True
    said = tokenizer.decode(text.tokens) if ending.stop else ""
    return any(stop in said for stop in ending.stop)


def _pieces(tokenizer: Tokenizer, ending: Ending, row: int, text: _Text) -> list[Piece]:
    writer = Writer(tokenizer, ending, row)
    return [writer.write(token, logprob) for token, logprob in zip(text.tokens, text.logprobs, strict=True)]
