"""Answers that a model writes while it learns: written by the engine, judged, and kept until nobody needs them.

They depend on the weights at their step, the seed and the row's number, so that a run that resumes writes the same ones
again; those of a round whose first steps lie before the checkpoint are read from disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textus import storage
from textus.adaptation.rewards import nothing_told_apart
from textus.dataset.prompts import Prompts
from textus.decoding.engine.batch import write_all
from textus.decoding.engine.engine import Engine, Handle
from textus.decoding.generate import ROWS_AT_ONCE, fitting
from textus.decoding.piece import Completion, Piece, collect
from textus.decoding.processors import Temperature
from textus.decoding.strategy import Greedy, Sample, Strategy
from textus.decoding.writer import Ending
from textus.errors import CheckpointError
from textus.model.transformer import Transformer
from textus.objectives.logprobs import label_logprobs
from textus.objectives.measure import evaluating
from textus.objectives.objective import IGNORE, Batch
from textus.objectives.reinforcement import Reinforcement, Written, advantages
from textus.tokenizer.tokenizer import Tokenizer

DIRECTORY, REWARDS = "rollouts", "rewards.json"
_PATIENCE = 5
"""After so many rounds in a row from which nothing was learnt, this is said."""
_SPREAD = 0x9E3779B97F4A7C15
"""Mixes the number of a row into the seed."""


@dataclass(frozen=True)
class Answer:
    """One text that a model wrote for a prompt."""

    text: str
    tokens: tuple[int, ...]
    """What ends it included."""
    ended: bool


def write(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    *,
    group: int,
    strategy: Strategy,
    most: int,
    end: int,
) -> list[list[Answer]]:
    """Return `group` answers to each prompt, all written side by side; prompts come as tokens, framed."""
    longest = max(map(len, prompts)) + most
    assert longest <= model.config.context_length, "the prompts leave room for answers"
    rows = min(ROWS_AT_ONCE, group * len(prompts))
    ending = Ending(most, (), frozenset({end}), "off")
    pieces: list[list[Piece]] = [[] for _ in range(group * len(prompts))]
    with evaluating(model):
        engine = Engine(model, tokenizer, fitting(model, rows, longest))

        def begins() -> list[Callable[[], Handle]]:
            return [
                partial(engine.submit, tokens, strategy, ending, seed=seed, row=row)
                for tokens, seed in zip(prompts, seeds, strict=True)
                for row in range(group)
            ]

        for number, piece in write_all(engine, begins(), 2 * rows):
            pieces[number].append(piece)
    found = []
    for at in range(0, len(pieces), group):
        done = collect([piece for row in pieces[at : at + group] for piece in row], group)
        found.append([_answer(one, tokenizer) for one in done])
    return found


def _answer(done: Completion, tokenizer: Tokenizer) -> Answer:
    # END is no token of a completion, and is one that the model chose
    closing = (tokenizer.end,) if done.finish_reason == "end" else ()
    return Answer(done.text, (*done.tokens, *closing), done.finish_reason in ("end", "stop"))


def asked(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Batch:
    """Lay prompts with their answers below each other, and ask the tokens of the answers.

    >>> batch = asked([[5, 6]], [[7, 8]])
    >>> batch.tokens.tolist(), batch.labels.tolist()
    ([[5, 6, 7]], [[-100, 7, 8]])
    """
    time = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)) - 1
    tokens = torch.zeros(len(prompts), time, dtype=torch.int64)
    labels = torch.full_like(tokens, IGNORE)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        whole = torch.tensor([*prompt, *answer])
        tokens[row, : len(whole) - 1] = whole[:-1]
        labels[row, len(prompt) - 1 : len(whole) - 1] = whole[len(prompt) :]
    return Batch.of(tokens, labels, None, attention="causal")


Said = Callable[[Transformer, Batch], Tensor]
"""Log-probabilities of labels under the reference."""


@dataclass
class Rollouts:
    """Writes the answers of each step, judges them, and keeps them."""

    tokenizer: Tokenizer
    prompts: Prompts
    end: int
    """The token that ends an answer."""
    asked: Reinforcement
    """How many answers, how long, how warm."""
    worth: Callable[[int, str], float]
    """The reward of an answer to the prompt of this number."""
    reference: Said | None
    directory: Path
    seed: int
    kept: int
    """So many rounds stay on disk."""
    say: Callable[[str], None]
    """Is told where there is nothing to learn."""
    _round: dict[str, Any] = field(default_factory=dict)
    _warned: bool = False

    def __call__(self, model: Transformer, numbers: tuple[int, ...]) -> Written:
        """Return the answers to the prompts of rows of one step, as `Write` says."""
        number, step = self.prompts.round_of(numbers[0])
        firsts = [self.prompts.first_of(one) for one in numbers]
        if step == 0:
            self._begin(number)
            self._answer(model, firsts)
        elif self._round.get("round") != number:
            self._read(number)
        rows: Mapping[str, Any] = self._round["rows"]
        try:
            found = [rows[str(first)] for first in firsts]
        except KeyError:
            raise self._missing(number) from None
        prompts = [self.prompts.tokens(one) for one in numbers for _ in range(self.asked.group)]
        batch = asked(prompts, [answer for row in found for answer in row["answers"]])
        rewards = torch.tensor([row["rewards"] for row in found])
        return Written(
            batch,
            advantages(rewards, scaled=self.asked.kind == "grpo").flatten(),
            before=_spread(batch, [one for row in found for one in row["before"]])
            if self.asked.iterations > 1
            else None,
            reference=_spread(batch, [one for row in found for one in row["reference"]]) if self.reference else None,
        )

    def _answer(self, model: Transformer, firsts: Sequence[int]) -> None:
        """Write and judge the answers to some prompts of this round, and keep them."""
        numbers = [self._shown(first) for first in firsts]
        prompts, group = [self.prompts.tokens(one) for one in numbers], self.asked.group
        written = write(
            model,
            self.tokenizer,
            prompts,
            [(self.seed * _SPREAD + first) % 2**63 for first in firsts],
            group=group,
            strategy=Sample(*([] if self.asked.temperature == 1 else [Temperature(self.asked.temperature)])),
            most=self.asked.most_tokens,
            end=self.end,
        )
        batch = asked([one for one in prompts for _ in range(group)], [a.tokens for row in written for a in row])
        batch = batch.to(model.embedding.weight.device)
        said: dict[str, list[list[float]]] = {}
        with evaluating(model), torch.no_grad():
            if self.asked.iterations > 1:
                said["before"] = _gathered(batch, label_logprobs(model, batch, self.asked.temperature))
            if self.reference:
                said["reference"] = _gathered(batch, self.reference(model, batch))
        for place, (first, number, answers) in enumerate(zip(firsts, numbers, written, strict=True)):
            example = self.prompts.example(number)
            self._round["rows"][str(first)] = {
                "prompt": example,
                "texts": [answer.text for answer in answers],
                "ended": [answer.ended for answer in answers],
                "answers": [list(answer.tokens) for answer in answers],
                "rewards": [self.worth(example, answer.text) for answer in answers],
                **{name: rows[place * group : (place + 1) * group] for name, rows in said.items()},
            }
        storage.write_json(self._path(self._round["round"]), self._round)
        self._tell()

    def _begin(self, number: int) -> None:
        if self._round.get("round") == number and self._round["open"]:
            return  # another micro-batch of the same step
        self._round = {"round": number, "rows": {}, "open": True}
        folder = self.directory / DIRECTORY
        folder.mkdir(exist_ok=True)
        for path in sorted(folder.glob("*.json"))[: -self.kept]:
            path.unlink()

    def _shown(self, first: int) -> int:
        """Return the number of the row that shows a prompt for the first time."""
        turn, place = divmod(first, self.prompts.rows_per_step)
        return turn * self.prompts.times * self.prompts.rows_per_step + place

    def _read(self, number: int) -> None:
        try:
            self._round = {**storage.read_json(self._path(number), CheckpointError), "open": False}
        except CheckpointError:
            raise self._missing(number) from None

    def _missing(self, number: int) -> CheckpointError:
        return CheckpointError(
            f"{self._path(number)}: the answers that this step learns from are not there",
            hint=f"delete {self.directory / 'checkpoints'} to begin anew",
        )

    def _path(self, number: int) -> Path:
        return self.directory / DIRECTORY / f"{number:08d}.json"

    def _tell(self) -> None:
        """Keep the mean reward of each round, for the report."""
        path, rows = self.directory / REWARDS, self._round["rows"].values()
        told = storage.read_json(path) if path.is_file() else {}
        groups = [row["rewards"] for row in rows]
        told[f"{self._round['round']:08d}"] = {
            "reward": math.fsum(one for group in groups for one in group) / (len(groups) * self.asked.group),
            "ended": sum(sum(row["ended"]) for row in rows) / (len(groups) * self.asked.group),
            "tokens": sum(len(one) for row in rows for one in row["answers"]) / (len(groups) * self.asked.group),
            "told_apart": sum(max(group) > min(group) for group in groups) / len(groups),
        }
        storage.write_json(path, told)
        self._warn([told[name] for name in sorted(told)])

    def _warn(self, rounds: Sequence[Mapping[str, float]]) -> None:
        """Say, once, that rewards do not differ."""
        last = rounds[-_PATIENCE:]
        if len(last) < _PATIENCE or any(one["told_apart"] for one in last):
            self._warned = False
        elif not self._warned:
            self._warned = True
            self.say(nothing_told_apart(_PATIENCE, math.fsum(one["reward"] for one in last) / _PATIENCE))


def best_answers(
    model: Transformer, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], most: int, end: int
) -> list[Answer]:
    """Return the answer to each prompt that takes the likeliest token at every place."""
    found = write(model, tokenizer, prompts, [0] * len(prompts), group=1, strategy=Greedy(), most=most, end=end)
    return [answers[0] for answers in found]


def _gathered(batch: Batch, logprobs: Tensor) -> list[list[float]]:
    """Return what is said of the labels alone, row by row."""
    return [row[labels != IGNORE].tolist() for row, labels in zip(logprobs, batch.labels, strict=True)]


def _spread(batch: Batch, values: Sequence[Sequence[float]]) -> Tensor:
    """Put numbers where the labels are: the converse of `_gathered`."""
    found = torch.zeros(batch.labels.shape)
    found[batch.labels != IGNORE] = torch.tensor([one for row in values for one in row])
    return found
