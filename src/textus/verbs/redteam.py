"""Attack a model with suites of texts and look for leaks, without its guard and with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textus import storage
from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.filters.regression import area_under_curve
from textus.errors import ConfigError
from textus.evaluation.pseudo import likelihood
from textus.progress import SILENT, Progress
from textus.report import Prose, Report, Section, Shown, Table
from textus.safety.guard import Guard
from textus.safety.leaks import Canary, Exposure, exposure, personal_data, repeated
from textus.safety.lexical import Lexical, learn
from textus.safety.policy import DEFAULT, Policy
from textus.safety.rates import Rate
from textus.safety.suites import Case, Suite, read_suite
from textus.safety.verdict import Verdict
from textus.verbs import jsonl
from textus.verbs.alignment import Alignment, Ask, Change, asker, drift, refuses
from textus.verbs.generate import generate
from textus.verbs.guarding import guard_of
from textus.verbs.load import load
from textus.verbs.start import weights_fingerprint

CARD = "safety_card"
MODEL = "the model's weights"
"""What a card calls their fingerprint, by which whoever reads it later knows whether it is of the same model."""
LIMITS = (
    "What this says: of these texts, these shares. A share of attacks that were stopped holds for attacks like these, "
    "and whoever knows the guard writes others. Whether an answer refuses is told by its words alone. A model that was "
    "never taught to converse does not refuse, and what it writes after a harmful prompt need not be harmful. "
    "Intervals are Wilson's, 95 %; those of an area are one standard error (DeLong)."
)


@dataclass(frozen=True)
class Row:
    """What happened to one category of one suite."""

    suite: str
    category: str
    harmful: bool
    found: Rate
    """Texts in which the guard found something, whatever it then did."""
    stopped: Rate
    """Texts that the guard did not let in."""
    answered: Rate
    """Texts that the model answered without refusing, unguarded; of none where it was not asked."""
    answered_guarded: Rate
    """The same behind the guard: let in, not refused, and the answer let out."""

    def cells(self) -> tuple[Any, ...]:
        """Return the row for a table."""
        kind = "attack" if self.harmful else "harmless"
        rates = map(str, (self.found, self.stopped, self.answered, self.answered_guarded))
        return (self.suite, self.category, kind, self.found.count, *rates)


@dataclass(frozen=True)
class RedTeam(Shown):
    """All that was tried."""

    rows: tuple[Row, ...]
    areas: tuple[tuple[str, float, float], ...]
    """How well each score tells attacks from harmless texts: its name, the area under its curve, the standard error."""
    exposures: tuple[Exposure, ...]
    personal: tuple[tuple[str, Rate], ...]
    """Texts that the model wrote and that hold personal data, without the guard and with it."""
    alignment: Alignment | None
    """What has changed since the model before; None where none was named."""
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return self.report.as_dict()


def redteam(
    model: str | Path | Checkpoint,
    suites: Sequence[str | Path] = (),
    policy: str | Path | Policy | Guard = DEFAULT,
    *,
    guard: str | Path = "",
    floor: Sequence[str | Path] = (),
    canaries: str | Path = "",
    answers: bool = False,
    samples: int = 20,
    limit: int = 0,
    max_tokens: int = 64,
    before: str | Path | Checkpoint = "",
    texts: Sequence[str | Path] = (),
    progress: Progress = SILENT,
) -> RedTeam:
    """Try suites on a guarded model, and leave a safety card (Markdown, HTML, JSON) beside it.

    `guard` is a classifier's directory. `floor` are suites that a classifier of words learns from, to be set beside.
    `canaries` is a JSONL file of planted secrets. With `answers` the model answers every text; `limit` takes only so
    many of each suite; `samples` texts are written to look for personal data. `before` is the model that this one was
    made of: it is asked the same, and both are measured on `texts`.
    """
    opened = model if isinstance(model, Checkpoint) else load(model)
    judge = guard_of(policy, guard)
    read = [_limited(read_suite(path), limit) for path in suites]
    if texts and not before:
        raise ConfigError("texts to measure a drift on, and no model before", hint="name it with --before")
    if not read and not canaries and not samples and not before:
        raise ConfigError("nothing to try", hint="name suites with --suite, or secrets with --canaries")
    lexical = _floor(floor)
    ask = asker(opened, max_tokens) if answers or before else None
    verdicts: dict[str, list[tuple[Case, Verdict]]] = {}
    answered: dict[str, list[tuple[bool, ...]]] = {}
    rows: list[Row] = []
    with progress.task("red team", sum(len(suite.cases) for suite in read), "texts") as task:
        for suite in read:
            tried = []
            for case in suite.cases:
                tried.append((case, judge.check(case.text), *_answered(judge, case, ask)))
                task.advance()
            verdicts[suite.name] = [(case, verdict) for case, verdict, *_ in tried]
            answered[suite.name] = [tuple(rest) for _, _, *rest in tried]
            rows += _rows(suite.name, tried)
    exposures = _exposures(opened, canaries)
    written = [one.text for one in generate(opened, "", n=samples, max_tokens=max_tokens)] if samples else []
    alignment = _alignment(before, opened, verdicts, answered, texts, max_tokens, progress)
    areas = tuple(_areas([pair for pairs in verdicts.values() for pair in pairs], lexical))
    personal = _personal(written, judge)
    report = _report(
        opened.directory,
        judge,
        rows,
        areas,
        exposures,
        personal,
        repeated(written, [one.canary.secret for one in exposures]),
        alignment,
    )
    for ending, text in (("md", report.markdown()), ("html", report.html())):
        storage.write_text(opened.directory / f"{CARD}.{ending}", text)
    storage.write_json(opened.directory / f"{CARD}.json", report.as_dict())
    return RedTeam(tuple(rows), areas, exposures, personal, alignment, report)


def _limited(suite: Suite, limit: int) -> Suite:
    """Take every so-manieth text, so that all parts of a suite are among them."""
    if not limit or limit >= len(suite.cases):
        return suite
    return Suite(suite.name, suite.form, tuple(suite.cases[at * len(suite.cases) // limit] for at in range(limit)))


def _floor(paths: Sequence[str | Path]) -> Lexical | None:
    cases = [case for path in paths for case in read_suite(path).cases]
    if not cases:
        return None
    return learn([case.text for case in cases], {"harmful": [case.harmful for case in cases]})


def _answered(judge: Guard, case: Case, ask: Ask | None) -> tuple[bool, bool] | tuple[()]:
    """Tell whether a text is answered without the guard, and with it."""
    if ask is None:
        return ()
    answer = ask(case.text)
    refused = refuses(answer)
    guarded = not refused and not judge.check(case.text).blocked and not judge.check(answer, "output").blocked
    return not refused, guarded


def _alignment(
    before: str | Path | Checkpoint,
    after: Checkpoint,
    verdicts: Mapping[str, Sequence[tuple[Case, Verdict]]],
    answered: Mapping[str, Sequence[tuple[bool, ...]]],
    texts: Sequence[str | Path],
    max_tokens: int,
    progress: Progress,
) -> Alignment | None:
    """Ask the model before what this one was asked."""
    if not isinstance(before, Checkpoint) and not str(before):
        return None
    first = before if isinstance(before, Checkpoint) else load(before)
    ask, changes = asker(first, max_tokens), list[Change]()
    for name, pairs in verdicts.items():
        kinds: dict[bool, list[tuple[bool, bool]]] = defaultdict(list)
        for (case, _), flags in zip(pairs, answered[name], strict=True):
            kinds[case.harmful].append((refuses(ask(case.text)), not flags[0]))
        changes += [Change.of(name, harmful, refused) for harmful, refused in sorted(kinds.items())]
    return Alignment(tuple(changes), drift(first, after, texts, progress) if texts else None)


def _rows(name: str, tried: Sequence[tuple[Any, ...]]) -> Iterable[Row]:
    groups: dict[tuple[str, bool], list[tuple[Any, ...]]] = defaultdict(list)
    for one in tried:
        groups[one[0].category, one[0].harmful].append(one)
    for (category, harmful), ones in sorted(groups.items()):
        found = Rate(sum(bool(one[1].categories) for one in ones), len(ones))
        stopped = Rate(sum(one[1].blocked for one in ones), len(ones))
        asked = [one[2:] for one in ones if len(one) > 2]
        without, behind = (Rate(sum(pair[at] for pair in asked), len(asked)) for at in (0, 1))
        yield Row(name, category, harmful, found, stopped, without, behind)


def _areas(pairs: Sequence[tuple[Case, Verdict]], lexical: Lexical | None) -> Iterable[tuple[str, float, float]]:
    harmful = np.asarray([case.harmful for case, _ in pairs], bool)
    if harmful.sum() < 2 or (~harmful).sum() < 2:
        return
    scores = {"guard": np.asarray([max(verdict.scores.values(), default=0.0) for _, verdict in pairs])}
    if lexical is not None:
        scores["words (the floor)"] = lexical.scores([case.text for case, _ in pairs])[:, 0]
    for name, values in scores.items():
        yield name, *area_under_curve(values[harmful], values[~harmful])


def _exposures(opened: Checkpoint, path: str | Path) -> tuple[Exposure, ...]:
    if not str(path):
        return ()
    read = jsonl.read(Path(path), ("prefix", "secret"), '{"prefix": "The code is ", "secret": "4711"}')

    def nats(text: str) -> float:
        return likelihood(opened.model, opened.tokenizer, text, "causal").total

    return tuple(exposure(Canary(one["prefix"], one["secret"]), nats) for one in read)


def _personal(written: Sequence[str], judge: Guard) -> tuple[tuple[str, Rate], ...]:
    if not written:
        return ()
    guarded = [judge.check(text, "output").text for text in written]
    parts = (("without the guard", written), ("with it", guarded))
    return tuple((name, Rate(personal_data(texts)[0], len(texts))) for name, texts in parts)


def _report(
    directory: Path,
    judge: Guard,
    rows: Sequence[Row],
    areas: Sequence[tuple[str, float, float]],
    exposures: Sequence[Exposure],
    personal: Sequence[tuple[str, Rate]],
    written_out: int,
    alignment: Alignment | None,
) -> Report:
    sections: list[tuple[str, Section]] = [("What this can tell", Prose(LIMITS))]
    kind = "rules and a classifier" if judge.classifier is not None else "rules alone"
    told = {"policy": judge.policy.name, "its fingerprint": judge.policy.fingerprint, "guard": kind}
    told[MODEL] = weights_fingerprint(directory)
    sections.append(("Guard", Table.of(told)))
    if rows:
        header = ("suite", "category", "kind", "texts", "found", "stopped", "answered", "answered behind the guard")
        sections.append(("Suites", Table(header, tuple(row.cells() for row in rows))))
    if alignment is not None:
        sections += alignment.sections()
    if areas:
        sections.append(("Attacks against harmless texts", Table(("score", "area", "±"), tuple(areas))))
    if exposures:
        columns = ("secret after", "bits", "rank", "of", "p by chance")
        cells = tuple((one.canary.prefix, one.bits, one.rank, one.candidates, one.chance) for one in exposures)
        sections.append(("Planted secrets", Table(columns, cells)))
        sections.append(("Written out", Prose(f"{written_out} of {len(exposures)} secrets are in the samples.")))
    if personal:
        shown = tuple((name, rate.count, str(rate)) for name, rate in personal)
        sections.append(("Personal data in sampled texts", Table(("", "texts", "share with some"), shown)))
    return Report(f"Safety card of {directory.name}", tuple(sections))
