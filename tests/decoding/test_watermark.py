"""A mark changes no probability, is found where it is, and not where it is not, however often a text repeats itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from textus.decoding.config import SamplingConfig
from textus.decoding.generate import complete
from textus.decoding.history import History
from textus.decoding.processors import TopK
from textus.decoding.strategy import Sample, strategy_of
from textus.decoding.watermark import CONTEXT, Watermark, above, is_new, read, read_key
from textus.errors import ConfigError, InputError
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer

KEY = b"0123456789abcdef"


def test_every_token_keeps_its_probability() -> None:
    chances = torch.tensor([0.5, 0.25, 0.15, 0.1, 0.0])
    count = 20_000
    rows = [[number % 97, number // 97, 3, number] for number in range(count)]
    left = Watermark(KEY)(chances.log().repeat(count, 1), History.of(rows))
    assert left.isfinite().sum(1).eq(1).all()
    drawn = left.argmax(1).bincount(minlength=5).double()
    wanted = chances.double() * count
    assert drawn[4] == 0
    statistic = float(((drawn - wanted)[:4] ** 2 / wanted[:4]).sum())
    assert statistic < 16.27  # 0.1 % of the chi-square distribution with 3 degrees of freedom


def test_what_was_said_before_is_left_to_chance() -> None:
    logits = torch.zeros(3, 8)
    left = Watermark(KEY)(logits, History.of([[1, 2, 3], [1, 2, 1, 2, 1, 2], [1, 2, 3, 4]], written=[1, 2, 3]))
    assert left.isfinite().sum(1).tolist() == [8, 8, 1]
    assert logits.eq(0).all()
    assert is_new([9, 1, 2, 3, 4]) and not is_new([1, 2, 3, 4, 9, 1, 2, 3, 4])


def test_a_mark_is_found_with_its_key_and_with_no_other(model: Transformer, tokenizer: Tokenizer) -> None:
    marked = complete(model, tokenizer, "ab", Sample(TopK(40), Watermark(KEY)), max_tokens=80, seed=3)
    plain = complete(model, tokenizer, "ab", Sample(TopK(40)), max_tokens=80, seed=3)
    vocab = tokenizer.vocab_size
    assert read(marked.tokens, KEY, vocab).p_value < 1e-6
    assert read(marked.tokens, b"f" * 16, vocab).p_value > 1e-3 and read(plain.tokens, KEY, vocab).p_value > 1e-3
    again = complete(model, tokenizer, "ab", Sample(TopK(40), Watermark(KEY)), max_tokens=80, seed=3)
    assert again == marked


def test_texts_that_repeat_themselves_are_found_no_oftener_than_the_p_value_says() -> None:
    refrain = [5, 9, 2, 7, 7, 1, 4] * 60
    verse = [number % 13 for number in range(90)] + [number * number % 11 for number in range(200)]
    keys = [number.to_bytes(16, "little") for number in range(400)]
    for tokens in (refrain, verse):
        found = np.sort([read(tokens, key, 16).p_value for key in keys])
        even = np.arange(1, 401) / 400
        assert np.abs(found - even).max() < 1.95 / math.sqrt(400)  # Kolmogorov and Smirnov, 0.1 %
    # the refrain has seven contexts; counted whenever they come, they would be found with certainty or never
    assert read(refrain, KEY, 16).counted == 7


def test_the_p_value_is_that_of_a_gamma_distribution() -> None:
    stats = pytest.importorskip("scipy.stats")
    for total, count in ((0.5, 1), (3.0, 7), (200.0, 150), (900.0, 500), (1e-9, 2)):
        assert above(total, count) == pytest.approx(stats.gamma.sf(total, count), rel=1e-9)
    assert read([1] * CONTEXT, KEY, 4).p_value == 1.0


def test_settings_name_a_key_that_is_there_and_draw(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "key").write_text("0123456789abcdef0123\n")
    strategy = strategy_of(SamplingConfig(watermark=str(tmp_path / "key")), tokenizer)
    assert strategy.describe()[-2:] == ["Watermark()", "Sample"]  # and not the key
    assert read_key(tmp_path / "key") == b"0123456789abcdef0123"
    with pytest.raises(ConfigError, match="marks what is drawn"):
        strategy_of(SamplingConfig(watermark=str(tmp_path / "key"), temperature=0.0), tokenizer)
    with pytest.raises(InputError, match="nowhere"):
        strategy_of(SamplingConfig(watermark="nowhere"), tokenizer)
    (tmp_path / "key").write_text("short")
    with pytest.raises(InputError, match="a key of 5 bytes"):
        read_key(tmp_path / "key")
