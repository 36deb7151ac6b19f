"""Write text from a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from textus import config as settings
from textus import storage
from textus.checkpoint.checkpoint import GENERATION, Checkpoint
from textus.decoding import beam, words
from textus.decoding.config import SamplingConfig, from_generation_config
from textus.decoding.constrain import Constrained, Grammar
from textus.decoding.engine.engine import Engine
from textus.decoding.generate import generate as write
from textus.decoding.piece import Completion as Completion
from textus.decoding.piece import Piece, collect
from textus.decoding.prompt import Cut
from textus.decoding.speculative import Draft
from textus.decoding.strategy import Strategy, strategy_of
from textus.errors import CheckpointError, ConfigError
from textus.safety.audit import Audit
from textus.safety.gate import Gate, refused
from textus.safety.guard import Guard
from textus.safety.policy import Policy
from textus.verbs.guarding import gate_of
from textus.verbs.load import load
from textus.verbs.settings import FILE, kept_settings


def stream(
    model: str | Path | Checkpoint,
    prompt: str | Sequence[int],
    sampling: SamplingConfig | Literal["run"] = "run",
    *,
    n: int = 1,
    cut: Cut = "refuse",
    alternatives: int = 0,
    grammar: Grammar | None = None,
    draft: Draft | None = None,
    bare: bool = False,
    engine: Engine | None = None,
    gate: Gate | None = None,
) -> Iterator[Piece]:
    """Yield text as it is written; `n` continuations are written side by side, each piece naming its row.

    `sampling` is "run" for the run's own settings. `cut` says which end of a prompt that is too long is left out, if it
    is not to be refused. `alternatives` is how many tokens besides the chosen one each piece tells of. Only what
    `grammar` allows is written. A `draft` makes writing faster and changes no token. An `engine` of the same model
    knows what it has read before. A search with beams yields its texts when it is over. Tokens of a prompt that are
    `bare` have no END put before them. A text ends at END and at the tokens that the model's `generation_config.json`
    names. Behind a `gate`, a prompt that is text is judged, and what is written comes out as the guard lets it.
    """
    opened = model if isinstance(model, Checkpoint) else load(model)
    chosen = ended(opened, run_sampling(opened.directory) if sampling == "run" else sampling)
    if gate is not None:
        if isinstance(prompt, str):
            verdict = gate.admit(prompt)
            if verdict.blocked:
                return refused(verdict, n)
            prompt = verdict.text
        written = stream(
            opened,
            prompt,
            chosen,
            n=n,
            cut=cut,
            alternatives=alternatives,
            grammar=grammar,
            draft=draft,
            bare=bare,
            engine=engine,
        )
        return gate.let_out(written, n, max(map(len, chosen.stop), default=1))
    strategy = strategy_for(opened, chosen, grammar)
    stop_tokens = words.stop_tokens(opened.tokenizer, chosen.stop_tokens)
    if chosen.beams > 1:
        if alternatives or draft is not None or chosen.logprobs != "raw" or chosen.stop_loops != "off":
            raise ConfigError(
                "beams go with no draft, no alternatives, no stop_loops, and raw logprobs only",
                hint="leave these out, or set beams=1",
            )
        return _searched(opened, prompt, strategy, chosen, stop_tokens, n, cut, bare)
    return write(
        opened.model,
        opened.tokenizer,
        prompt,
        strategy,
        max_tokens=chosen.max_tokens,
        stop=chosen.stop,
        stop_tokens=stop_tokens,
        stop_loops=chosen.stop_loops,
        seed=chosen.seed,
        n=n,
        cut=cut,
        logprobs=chosen.logprobs,
        alternatives=alternatives,
        draft=draft,
        bare=bare,
        engine=engine,
    )


def generate(
    model: str | Path | Checkpoint,
    prompt: str,
    *,
    n: int = 1,
    cut: Cut = "refuse",
    alternatives: int = 0,
    grammar: Grammar | None = None,
    draft: Draft | None = None,
    policy: str | Path | Policy | Guard = "",
    guard: str | Path = "",
    audit: Audit | None = None,
    **sampling: Any,
) -> list[Completion]:
    """Return `n` continuations of a prompt; `sampling` holds fields of `SamplingConfig`, such as temperature=0.7.

    What is not given is as in the run's own settings. With a `policy` (a TOML file or `default`) or the directory of a
    `guard`, prompt and texts are judged, and what is not let pass ends with `content_filter`; `audit` logs it. The
    other arguments are those of `stream`.
    """
    directory = model.directory if isinstance(model, Checkpoint) else Path(model)
    config = settings.replace(run_sampling(directory), sampling)
    gate = gate_of(policy, guard, audit)
    pieces = stream(
        model, prompt, config, n=n, cut=cut, alternatives=alternatives, grammar=grammar, draft=draft, gate=gate
    )
    return collect(pieces, n, config.logprobs)


def ended(opened: Checkpoint, config: SamplingConfig) -> SamplingConfig:
    """Return settings by which a text ends where the model's own say that it does, too."""
    also = [str(token) for token in opened.ends]
    kept = [*config.stop_tokens, *(token for token in also if token not in config.stop_tokens)]
    return settings.replace(config, {"stop_tokens": tuple(kept)}) if also else config


def strategy_for(opened: Checkpoint, config: SamplingConfig, grammar: Grammar | None = None) -> Strategy:
    """Return the steps that settings ask for, behind the mask of a grammar if there is one."""
    strategy = strategy_of(config, opened.tokenizer)
    if grammar is None:
        return strategy
    # Before all others: a filter that does not know the grammar may leave nothing that it allows.
    return type(strategy)(Constrained(grammar, opened.tokenizer), *strategy.processors)


def run_sampling(directory: Path) -> SamplingConfig:
    """Return how a run writes unless told otherwise: as `run.toml` says, or else `generation_config.json`."""
    path = directory / GENERATION
    if (directory / FILE).is_file() or not path.is_file():
        return kept_settings(directory).sampling
    values = storage.read_json(path, CheckpointError)
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: not a JSON object", hint="delete it, or restore the one of the model")
    return from_generation_config(values, str(path))


def _searched(
    opened: Checkpoint,
    prompt: str | Sequence[int],
    strategy: Strategy,
    config: SamplingConfig,
    stop_tokens: tuple[int, ...],
    n: int,
    cut: Cut,
    bare: bool,
) -> Iterator[Piece]:
    return iter(
        beam.search(
            opened.model,
            opened.tokenizer,
            prompt,
            strategy,
            beams=config.beams,
            length_penalty=config.length_penalty,
            max_tokens=config.max_tokens,
            n=n,
            stop=config.stop,
            stop_tokens=stop_tokens,
            cut=cut,
            bare=bare,
        )
    )
