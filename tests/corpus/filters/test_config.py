"""Settings of the filters: their rules are checked at once, and the defaults cost nothing to make."""

from __future__ import annotations

import subprocess
import sys

import pytest

from textus import config
from textus.corpus.filters.config import FilterConfig, QualityConfig
from textus.corpus.filters.profiles import asked
from textus.errors import ConfigError


def test_settings_come_from_the_command_line_and_go_back_to_toml() -> None:
    found = config.load(FilterConfig, overrides=['rules=["words>=50", "links<0.5"]', "profile=none", "languages=en"])
    assert [rule.text for rule in asked(found)] == ["words>=50", "links<0.5"]
    assert found.languages == ("en",)
    assert "words>=50" in config.to_toml(found)


def test_a_single_rule_needs_no_list() -> None:
    assert config.load(FilterConfig, overrides=["rules=words>=50"]).rules == ("words>=50",)


def test_learnt_quality_adds_a_rule() -> None:
    assert not FilterConfig().quality.is_on
    found = FilterConfig(profile="none", quality=QualityConfig(good=("a/",), bad=("b/",), minimum=0.25))
    assert [rule.text for rule in asked(found)] == ["quality>=0.25"]


@pytest.mark.parametrize(("given", "missing"), [("good", "bad"), ("bad", "good")])
def test_a_classifier_needs_both_kinds(given: str, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"`quality.{missing}` is not"):
        QualityConfig(**{given: ("a/",)})


def test_the_defaults_import_nothing_heavy() -> None:
    code = "import sys; from textus.corpus.filters.config import FilterConfig as F; F(); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
