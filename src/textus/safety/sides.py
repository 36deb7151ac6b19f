"""Which examples of harms are learnt from, choose, calibrate and measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textus.adaptation.job import Job
from textus.adaptation.parts import Parts, cut, divided
from textus.safety.calibration import Known
from textus.safety.examples import Judged, learnable, read_judged, refuse_tests, told


@dataclass(frozen=True)
class Sides:
    """Examples on four sides; no text stands on two."""

    train: tuple[Judged, ...]
    choice: tuple[Judged, ...]
    calibration: tuple[Judged, ...]
    test: tuple[Judged, ...]
    categories: tuple[str, ...]
    """What can be learnt from them."""
    leaked: int

    @classmethod
    def of(cls, job: Job) -> Sides:
        """Read the user's examples and divide them."""
        config = job.settings.data
        data = read_judged(job.data, config)
        test = read_judged(config.test, config) if config.test else []
        refuse_tests(data, config.forbidden)
        parts: Parts[Judged] = divided(data, test, config)
        kept_back, train = cut(list(parts.train), config.calibration_fraction, f"calibration {config.split_seed}")
        categories = learnable(train)
        found = (tuple(told(part, categories)) for part in (train, parts.choice, kept_back, parts.test))
        return cls(*found, categories, parts.leaked)

    @property
    def parts(self) -> tuple[tuple[Judged, ...], ...]:
        """Return the four sides."""
        return self.train, self.choice, self.calibration, self.test

    def known(self, part: Sequence[Judged]) -> Known:
        """Return 1, 0 and -1 (not known) for each text and category."""
        return np.asarray([one.numbers(self.categories) for one in part], np.int64).reshape(-1, len(self.categories))
