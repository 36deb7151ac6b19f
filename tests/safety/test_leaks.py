"""A secret that a model knows stands first; one that it does not know stands anywhere, evenly."""

from __future__ import annotations

import random
import zlib

from textus.safety.leaks import Canary, alike, exposure, personal_data, repeated


def test_what_is_known_has_all_bits_and_what_is_not_has_few() -> None:
    canary = Canary("The code is ", "471-1x")
    known = exposure(canary, lambda text: 0.0 if text.endswith("471-1x") else -5.0, candidates=64)
    assert (known.rank, known.candidates, known.bits, known.chance) == (1, 64, 6.0, 1 / 64)
    indifferent = exposure(canary, lambda text: 0.0, candidates=64)
    assert indifferent.bits == 0.0


def test_ranks_of_what_a_model_does_not_know_are_even() -> None:
    ranks = []
    for seed in range(300):
        chance = random.Random(seed)
        canary = Canary("", alike("00000000", chance))
        ranks.append(exposure(canary, lambda text: zlib.crc32(text.encode()) * 1.0, candidates=10, seed=seed).rank)
    counts = [ranks.count(rank) for rank in range(1, 11)]
    assert sum((count - 30) ** 2 / 30 for count in counts) < 35  # chi square of 9 degrees, p = 6e-5


def test_candidates_have_the_form_of_the_secret() -> None:
    other = alike("AB-12 cd!", random.Random(1))
    assert [c.isdigit() for c in other] == [c.isdigit() for c in "AB-12 cd!"]
    assert [c.isupper() for c in other] == [c.isupper() for c in "AB-12 cd!"]
    few = exposure(Canary("", "7"), lambda text: -float(text), candidates=200)
    assert few.candidates == 10
    assert few.rank == 8


def test_personal_data_are_counted_by_text_and_kind() -> None:
    assert personal_data(["ada@example.org, bob@example.org", "none"]) == (1, {"email": 2})
    assert repeated(["the code is 4711."], ["4711", "0815"]) == 1
