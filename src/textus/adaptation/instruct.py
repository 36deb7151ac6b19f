"""Teach a model to answer, by conversations: what is said to it is read, what the assistant says is learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from textus import fingerprint, storage
from textus.adaptation.base import Base, open_base
from textus.adaptation.examples import Built, Faults, build, dealt
from textus.adaptation.held_out import Answers, answers, held_out_loss
from textus.adaptation.job import Adapted, Job
from textus.adaptation.kept import kept_or_made
from textus.adaptation.settings import InstructSettings
from textus.adaptation.tune import RECORD, Tuning, training_table
from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.dataset.conversations import conversation
from textus.dataset.examples import Gathered
from textus.dataset.packing import Packed
from textus.errors import CorpusError, InputError, TokenizerError
from textus.objectives.instruction import Instruction
from textus.progress import Progress
from textus.report import Prose, Report, Score, Section, Table
from textus.training import machine

_VERSION = 2
"""Raised whenever answers are measured otherwise, so that kept measures are made again."""
_SHOWN = 3
_QUESTIONS = 256
"""So many held-out conversations are kept as questions, at most."""


def instruct(job: Job) -> Adapted:
    """Adapt the model of a job by conversations."""
    settings: InstructSettings = job.settings
    device = machine.look(settings.training).device
    base = open_base(job.checkpoint, settings.template, device)
    built = build(
        job, base, settings.data, ["instruct", settings.supervised], lambda parts: _deal(job, base, settings, parts)
    )
    context, seed = base.opened.config.context_length, settings.training.seed
    training = Packed(built.part("train"), context, seed)
    validation = Packed(built.part("validation"), context, seed, ordered=True)
    tuning = Tuning(
        job=job,
        base=base,
        training=training,
        validation=validation,
        objective=Instruction(settings.supervised, settings.noise),
        epochs=settings.epochs,
        config=settings.training,
        lora=settings.lora,
        sampling=settings.sampling,
    )
    asked = [_VERSION, built.key, settings.answers, settings.answer_tokens, fingerprint.of_value(settings.sampling)]
    measure = _Measure(base, validation, _questions(built, base, settings), settings, job.progress)
    before = kept_or_made(
        job.directory / "before.json",
        fingerprint.of_value([base.fingerprint, *asked]),
        lambda: measure.of(base.opened),
    )
    run = tuning.run()
    tuning.finish(run)
    after = kept_or_made(
        job.directory / "after.json",
        fingerprint.of_value([run.model_key, *asked]),
        lambda: measure.of(checkpoint.load(job.directory, device)),
    )
    return _told(job, built, training, storage.read_json(job.directory / RECORD), before, after)


@dataclass
class _Counts:
    """What became of the conversations."""

    conversations: int = 0
    turns: int = 0
    held_out: int = 0
    tokens: int = 0
    supervised_tokens: int = 0
    cut: int = 0
    """Longer than the context: their end is left out."""
    unasked: int = 0
    """Nothing is left of them that could be learnt."""


def _deal(job: Job, base: Base, settings: InstructSettings, parts: dict[str, Gathered]) -> dict[str, Any]:
    """Write all conversations as tokens, cut what is too long, and deal them out; return what is told of them.

    Raises `CorpusError` where nothing is supervised.
    """
    counts, faults, room = _Counts(), Faults(), base.opened.config.context_length + 1
    questions: list[list[dict[str, str]]] = []
    with job.progress.task("conversations", 0, "conversations") as task:
        for part, found in dealt(job, settings.data, conversation, faults):
            task.advance(1)
            try:
                tokens, asked = base.turns.encode(found.messages, settings.supervised)
            except TokenizerError as error:
                raise InputError(f"{found.place}: {error.message}", hint=error.hint) from None
            counts.cut += len(tokens) > room
            tokens, asked = tokens[:room], asked[:room]
            if not any(asked[1:]):
                counts.unasked += 1
                continue
            parts[part].add(tokens, asked)
            counts.conversations += 1
            counts.turns += len(found.messages)
            counts.held_out += part == "validation"
            counts.tokens += len(tokens)
            counts.supervised_tokens += sum(asked[1:])
            if part == "validation" and len(questions) < _QUESTIONS and found.messages[-1]["role"] == "assistant":
                questions.append([dict(message) for message in found.messages[:-1]])
    if not counts.supervised_tokens:
        why = f": the context of {room - 1} tokens holds no answer of {counts.unasked}" if counts.unasked else ""
        raise CorpusError(
            f"{', '.join(map(str, job.data))}: no token is supervised{why}",
            hint="give conversations with answers, shorter prompts, or a model with a longer context",
        )
    return {
        **asdict(counts),
        "supervised": settings.supervised,
        "supervised_share": counts.supervised_tokens / counts.tokens,
        "faulty": str(faults),
        "questions": questions,
    }


def _questions(built: Built, base: Base, settings: InstructSettings) -> list[list[int]]:
    """Return the prompts of held-out conversations that leave room for an answer."""
    room = max(1, base.opened.config.context_length - settings.answer_tokens)
    prompts = (base.turns.prompt(messages) for messages in built.facts["questions"])
    return [prompt for prompt in prompts if len(prompt) <= room][: settings.answers]


@dataclass(frozen=True)
class _Measure:
    """What a model is measured by, before and after."""

    base: Base
    validation: Packed
    questions: Sequence[Sequence[int]]
    settings: InstructSettings
    progress: Progress

    def of(self, opened: Checkpoint) -> dict[str, Any]:
        """Measure a model."""
        loss = held_out_loss(opened.model, self.validation, self.progress)
        said = Answers((), (), (), ())
        if self.questions:
            sampling, most = self.settings.sampling, self.settings.answer_tokens
            said = answers(opened, self.base.turns, self.questions, sampling, most, self.progress)
        scores = [loss, *(said.scores(loss.tokenizer, loss.data) if said.texts else ())]
        return {"scores": [score.as_dict() for score in scores], "answers": list(said.texts[:_SHOWN])}


def _told(
    job: Job,
    built: Built,
    training: Packed,
    record: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> Adapted:
    """Set before and after side by side."""
    facts = built.facts
    data = {
        "conversations": facts["conversations"],
        "of them held out": facts["held_out"],
        "tokens": facts["tokens"],
        "supervised": f"{facts['supervised']}: {facts['supervised_share']:.1%} of the tokens",
        "rows filled": f"{training.filled:.1%}",
        "cut at the context": facts["cut"],
        "left out, nothing to learn": facts["unasked"],
        "left out, faulty": facts["faulty"],
    }
    sections: list[tuple[str, Section]] = [
        ("Held-out conversations, before and after", side_by_side(before["scores"], after["scores"])),
        ("Conversations", Table.of(data)),
        ("Training", training_table(record)),
    ]
    for when, found in (("before", before), ("after", after)):
        if found["answers"]:
            sections.append((f"Answers {when}", Prose("\n---\n".join(found["answers"]), verbatim=True)))
    told = {
        "before": before["scores"],
        "examples": {name: value for name, value in facts.items() if name != "questions"},
        "training": {name: value for name, value in record.items() if name != "identity"},
    }
    scores = tuple(Score(**score) for score in after["scores"])
    return Adapted(job.directory, "instruct", scores, Report(f"{job.directory.name}: instruct", tuple(sections)), told)


def side_by_side(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Table:
    """Set the same scores of two models side by side, each with its standard error."""
    rows = tuple(
        (str(new["name"]).replace("_", " "), old["value"], old["error"], new["value"], new["error"], new["unit"])
        for old, new in zip(before, after, strict=True)
    )
    return Table(("score", "before", "±", "after", "± ", "unit"), rows)
