"""Verdicts by profile: what each drops, and that real text stays."""

from __future__ import annotations

import io
import json
import random
import re
import string
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.filters.config import FilterConfig, QualityConfig
from textus.corpus.filters.features import features
from textus.corpus.filters.profiles import PROFILES, asked, verdicts
from textus.errors import ConfigError

LETTERS = string.ascii_lowercase + " " * 5
DATA = Path(__file__).parents[3] / "../shared/data"
PROSE = """It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want
of a wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this
truth is so well fixed in the minds of the surrounding families, that he is considered as the rightful property of some
one or other of their daughters. My dear Mr. Bennet, said his lady to him one day, have you heard that Netherfield Park
is let at last? Mr. Bennet replied that he had not. But it is, returned she. She told me all about it."""


def reason(text: str, config: FilterConfig) -> str:
    found = verdicts(features(TextBatch([text])), config)
    number = int(found.reasons[0])
    return found.names[number - 1] if number else ""


def lines_of(name: str) -> Iterator[str]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with path.open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            yield json.loads(line)["text"]


@pytest.mark.parametrize(
    ("text", "domain", "web"),
    [
        (PROSE, "", ""),
        ("", "few words", "few words"),
        ("Too short for the web.", "", "few words"),
        ("".join(random.Random(0).choices(LETTERS, k=900)), "random letters", "few stop words"),
        ("The band played on. " * 200, "repeated phrases of 10 words", "few stop words"),
        (f"{PROSE} {{", "", "curly brackets"),
        (PROSE + "\ufffd" * 300, "undecodable characters", "lines without punctuation"),
        (PROSE + "\x02" * 200, "unprintable characters", "lines without punctuation"),
        ("\n".join(f"http://example.org/{number}" for number in range(90)), "links", "words without letters"),
        ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do", "placeholder text", "few words"),
    ],
)  # fmt: skip
def test_each_profile_drops_what_it_should(text: str, domain: str, web: str) -> None:
    assert reason(text, FilterConfig(profile="domain")) == domain
    assert re.search(web or "^$", reason(text, FilterConfig(profile="web")))
    assert reason(text, FilterConfig(profile="none")) == ""


def test_the_code_profile_keeps_the_standard_library() -> None:
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:120]
    texts = [path.read_text("utf-8", "replace") for path in paths if path.stat().st_size]
    assert len(texts) > 50
    assert verdicts(features(TextBatch(texts)), FilterConfig(profile="code")).dropped() == {}


@pytest.mark.parametrize(
    "name",
    ["domain/us_dc_law_val", "domain/pubmed_abstracts_val", "domain/python_stdlib_val", "multilingual/udhr_and_zhwiki"],
)
def test_the_domain_profile_keeps_real_text(name: str) -> None:
    texts = list(islice(lines_of(f"{name}.jsonl.zst"), 300))
    assert verdicts(features(TextBatch(texts)), FilterConfig()).dropped() == {}


columns_of = st.fixed_dictionaries(
    {
        name: st.lists(st.floats(0, 1, width=32) | st.just(float("nan")), min_size=6, max_size=6)
        for name in ("links", "tags", "encoded")
    }
)


@settings(max_examples=50)
@given(columns_of, st.lists(st.sampled_from(["links<=0.5", "tags<0.25", "encoded>0.125", "links>0.1"]), unique=True))
def test_the_reason_is_the_first_broken_rule(values: dict[str, list[float]], rules: list[str]) -> None:
    columns = {name: np.array(column, np.float32) for name, column in values.items()}
    config = FilterConfig(profile="none", rules=tuple(rules))
    found = verdicts(columns, config)
    for number in range(6):
        broken = [rule.broken(columns)[number] for rule in asked(config)]
        assert found.reasons[number] == (broken.index(True) + 1 if any(broken) else 0)
        assert found.broken[:, number].tolist() == broken
    assert sum(found.dropped().values()) == (found.reasons > 0).sum()
    assert all(count <= found.breaking()[name] for name, count in found.dropped().items())


def test_languages_are_kept_by_code_and_confidence() -> None:
    columns = features(TextBatch([PROSE] * 4))
    columns["language"] = np.array(["en", "de", "en", "und"], object)
    columns["language_confidence"] = np.array([0.9, 0.9, 0.3, 0], np.float32)
    found = verdicts(columns, FilterConfig(languages=("en",)))
    assert found.dropped() == {"another language": 2, "uncertain language": 1}
    assert verdicts(columns, FilterConfig(languages=("en", "und"))).dropped() == {
        "another language": 1,
        "uncertain language": 1,
    }
    assert verdicts(columns, FilterConfig()).dropped() == {}


def test_learnt_quality_is_a_rule_like_others() -> None:
    columns = {**features(TextBatch([PROSE, PROSE])), "quality": np.array([0.4, 0.6], np.float32)}
    config = FilterConfig(quality=QualityConfig(good=("good/",), bad=("bad/",)))
    assert verdicts(columns, config).dropped() == {"low quality": 1}


@pytest.mark.parametrize("profile", PROFILES)
def test_rules_of_a_profile_have_each_their_own_name(profile: str) -> None:
    names = [rule.name for rule in PROFILES[profile]]
    assert len(set(names)) == len(names)
    assert all(">" not in name and "<" not in name for name in names)


def test_no_text_gets_no_verdict() -> None:
    found = verdicts(features(TextBatch([])), FilterConfig(profile="web"))
    assert found.reasons.tolist() == []
    assert found.dropped() == {}


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"profile": "wbe"}, "profile"),
        ({"rules": ("wrods>=5",)}, "wrods"),
        ({"rules": ("-curly_brackets",)}, "no rule on curly_brackets"),
        ({"languages": ("english",)}, "no language `english`"),
        ({"language_confidence": 2.0}, "language_confidence"),
    ],
)
def test_wrong_settings_are_refused(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FilterConfig(**settings_)
