import pytest

from textus.config import documentation, kinds, load, to_toml
from textus.corpus.config import CorpusConfig
from textus.errors import ConfigError


def test_every_setting_is_explained():
    assert set(documentation(CorpusConfig)) == set(kinds(CorpusConfig))


def test_settings_survive_their_file(tmp_path):
    config = CorpusConfig(validation=("a", "b"), encoding="latin-1", test_fraction=0.1)
    (tmp_path / "x.toml").write_text(to_toml(config), "utf-8")
    assert load(CorpusConfig, tmp_path / "x.toml") == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"validation_fraction": 0.0},
        {"validation_fraction": 0.6},
        {"validation_fraction": float("nan")},
        {"maximum_document_mb": 0.0},
        {"unreadable": "ignore"},
        {"encoding": "utf-9"},
        {"encoding": "base64"},
        {"minimum_characters": -1},
    ],
)
def test_what_cannot_be_is_refused_with_its_name(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=name) as caught:
        CorpusConfig(**wrong)
    assert caught.value.hint
