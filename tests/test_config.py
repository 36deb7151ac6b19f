from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus import config
from textus.config import AUTO, Count, Fraction, Natural, NonNegative, Positive, Range, Settings
from textus.errors import ConfigError, InputError


@dataclass(frozen=True)
class Inner(Settings):
    learning_rate: Positive | AUTO = "auto"
    """Peak learning rate."""
    clip: Positive | Literal["off"] = 1.0
    share: Annotated[float, Range(0, 0.5, open_low=True)] = 0.05
    offset: Literal[0, 1] = 1
    kind: Literal["causal", "masked"] = "causal"


@dataclass(frozen=True)
class Outer(Settings):
    """Everything that a setting can be."""

    steps: Count | AUTO = "auto"
    """How many steps.

    And more about them, over
    several lines."""
    seed: Natural = 1
    """Of everything random."""
    rate: Fraction = 0.5
    decay: NonNegative = 0.0
    on: bool = False
    name: str = ""
    stop: tuple[str, ...] = ()
    sizes: tuple[Count, ...] = (1,)
    inner: Inner = field(default_factory=Inner)
    """A section."""


@dataclass(frozen=True)
class Needed(Settings):
    size: Count
    """It has no default."""


@dataclass(frozen=True)
class Child(Inner):
    """Write one setting anew."""

    learning_rate: Positive = 2.0


def refusal(*overrides: str, cls: type[Any] = Outer) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config.load(cls, overrides=overrides)
    return caught.value


@pytest.mark.parametrize(
    ("item", "words", "hint"),
    [
        ("stepz=1", "no setting `stepz`", "did you mean `steps`?"),
        ("inner.learn_rate=1", "no setting `inner.learn_rate`", "did you mean `inner.learning_rate`?"),
        ("learning_rate=1", "no setting `learning_rate`", "did you mean `inner.learning_rate`?"),
        ("inner.xyzzy=1", "no setting `inner.xyzzy`", "settings here: inner.learning_rate, inner.clip"),
        ("=1", "no setting ``", "settings here: steps, seed"),
        ("seed.x=1", "`seed` is a single setting, not a group", "write seed=VALUE"),
        ("inner=1", "`inner` is a group of settings", "settings here: inner.learning_rate"),
        ("seed", "`seed` is neither a file nor a setting", "key=value"),
        ("seed=-1", "`seed` must be a whole number at least 0; got -1", "give seed a value"),
        ("seed=1.5", "must be a whole number at least 0; got 1.5", "give seed a value"),
        ("seed=true", "must be a whole number at least 0; got true", "give seed a value"),
        ("steps=1e5", 'must be a whole number at least 1 or "auto"; got 100000.0', "did you mean steps=100000?"),
        ("steps=atuo", 'must be a whole number at least 1 or "auto"; got "atuo"', "did you mean steps=auto?"),
        ("rate=.5", 'must be a number in [0, 1]; got ".5"', "did you mean rate=0.5?"),
        ("rate=1.01", "must be a number in [0, 1]; got 1.01", "give rate a value"),
        ("inner.share=0", "must be a number in (0, 0.5]; got 0", "inner.share=VALUE"),
        ("inner.learning_rate=0", 'must be a number above 0 or "auto"; got 0', "inner.learning_rate=VALUE"),
        ("inner.learning_rate=nan", 'must be a number above 0 or "auto"; got nan', ""),
        ("inner.learning_rate=inf", "got inf", ""),
        ("inner.learning_rate=-inf", "got -inf", ""),
        ("decay=-1e-9", "must be a number at least 0; got -1e-09", ""),
        ("inner.kind=maskd", 'must be "causal" or "masked"; got "maskd"', "did you mean inner.kind=masked?"),
        ("inner.offset=2", "must be 0 or 1; got 2", ""),
        ("inner.offset=true", "must be 0 or 1; got true", ""),
        ("on=True", 'must be true or false; got "True"', "did you mean on=true?"),
        ("on=1", "must be true or false; got 1", ""),
        ("sizes=[1, 0]", "must be a list, each a whole number at least 1; got [1, 0]", ""),
        ("sizes=[1, [2]]", "must be a list", ""),
        ("name=\udcff", "must be a string", ""),
        ("steps=" + "9" * 5000, "must be a whole number", ""),
        ("inner.clip=" + "9" * 400, "must be a number above 0", ""),
        ("sizes=" + "[" * 5000, "must be a list", ""),
    ],
)
def test_a_wrong_override_is_refused_in_one_sentence(item: str, words: str, hint: str) -> None:
    error = refusal(item)
    assert words in error.message
    assert error.message.startswith(f"`{item}")
    assert "\n" not in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("inner.learning_rate=1e-4", 1e-4),
        ("inner.learning_rate=1", 1.0),
        ("inner.learning_rate=auto", "auto"),
        ('inner.learning_rate="auto"', "auto"),
        ("inner.clip=off", "off"),
        ("inner.offset=0", 0),
        ("steps=1_000", 1000),
        ("on=true", True),
        ("name=plain words", "plain words"),
        ("name=5", "5"),
        ("name=nan", "nan"),
        ("name=2026-11-23", "2026-11-23"),
        ("name=", ""),
        ("name=a=b", "a=b"),
        ("name=5#draft", "5#draft"),
        ("name=1\nseed = 2", "1\nseed = 2"),
        ('name="quoted # words"', "quoted # words"),
        ("stop=one", ("one",)),
        ("stop=[]", ()),
        ('stop=["#", "\\n"]', ("#", "\n")),
        ("sizes=[3, 4]", (3, 4)),
    ],
)
def test_an_override_is_read_as_its_setting_needs(item: str, value: Any) -> None:
    made = config.load(Outer, overrides=[item])
    for name in item.partition("=")[0].split("."):
        made = getattr(made, name)
    assert made == value
    assert type(made) is type(value)


@dataclass(frozen=True)
class Pair(Settings):
    """Two settings that need one another."""

    how: Literal["all", "some"] = "all"
    field: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.how == "all") != (not self.field):
            raise ConfigError("`field` is for `how=some`, and only for it")


@dataclass(frozen=True)
class Pairs(Settings):
    one: Pair = field(default_factory=Pair)


@pytest.mark.parametrize("items", [["one.how=some", "one.field=x"], ["one.field=x", "one.how=some"]])
def test_settings_that_need_one_another_come_in_any_order(items: list[str]) -> None:
    assert config.load(Pairs, overrides=items) == Pairs(Pair("some", "x"))
    changes = dict(item.split("=") for item in items)
    assert config.replace(Pairs(), changes) == Pairs(Pair("some", "x"))
    assert config.replace(Pairs(), {"one": Pair("some", "y"), "one.field": "x"}) == Pairs(Pair("some", "x"))
    with pytest.raises(ConfigError, match="only for it"):
        config.load(Pairs, overrides=items[:1])


def test_a_file_then_overrides_the_last_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\nrate = 1\r\n[inner]\r\nlearning_rate = 1e-4\r\n")
    made = config.load(Outer, path, ["inner.learning_rate=2", "inner.learning_rate=3e-4", "on=true"])
    assert made == Outer(seed=3, rate=1.0, on=True, inner=Inner(learning_rate=3e-4))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"seed = -1", "`seed` must be a whole number at least 0; got -1"),
        (b"[inner]\nkind = 1", '`inner.kind` must be "causal" or "masked"; got 1'),
        (b"inner = 1", "`inner` is a table of settings; got 1"),
        (b"[iner]\n", "no setting `iner`"),
        (b"seed = ", "not valid TOML: Invalid value (at end of document)"),
        (b"seed = 1\nrate = ?", "not valid TOML: Invalid value (at line 2, column 8)"),
        (b"seed = 1\nseed = 2", "not valid TOML: Cannot overwrite a value"),
        (b"name = '\xff'", "not valid TOML"),
        (b"seed = " + b"9" * 5000, "not valid TOML"),
        (b"rate = nan", "`rate` must be a number in [0, 1]; got nan"),
        (b"stop = [1]", "`stop` must be a list, each a string; got [1]"),
        (b"name = 2026-11-23", "`name` must be a string"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        config.load(Outer, path)
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            config.load(Outer, path)


def test_a_setting_without_default_must_be_given() -> None:
    assert "no value for `size`" in refusal(cls=Needed).message
    assert config.build(Needed, {"size": 2}, "here") == Needed(2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", -1), ("seed", True), ("rate", math.nan), ("rate", "0.5"), ("stop", ("a", 1)), ("inner", 1), ("on", None)],
)
def test_python_is_checked_like_a_file(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"Outer: `{name}` must be"):
        Outer(**{name: value})


def test_loose_python_is_kept_as_its_type_says() -> None:
    made = Outer(rate=1, stop=["a", "b"], sizes=[2])  # type: ignore[arg-type]
    assert (made.rate, made.stop, made.sizes) == (1.0, ("a", "b"), (2,))
    assert type(made.rate) is float
    assert hash(made) == hash(Outer(rate=1.0, stop=("a", "b"), sizes=(2,)))


def test_replace_sets_dotted_keys_and_checks_them() -> None:
    made = config.replace(Outer(), {"inner.kind": "masked", "seed": 2})
    assert made == Outer(seed=2, inner=Inner(kind="masked"))
    assert config.replace(Outer(), {"inner": Child()}).inner == Child()
    with pytest.raises(ConfigError, match=r"`inner\.kind` must be"):
        config.replace(Outer(), {"inner.kind": "other"})
    with pytest.raises(ConfigError, match=r"no setting `inner\.knd`"):
        config.replace(Outer(), {"inner.knd": "masked"})


def test_documentation_is_what_stands_under_the_fields() -> None:
    assert config.documentation(Outer) == {
        "steps": "How many steps.\n\nAnd more about them, over\nseveral lines.",
        "seed": "Of everything random.",
        "inner": "A section.",
    }
    assert config.documentation(Child) == {"learning_rate": "Peak learning rate."}


def test_keys_lists_every_setting_with_its_words() -> None:
    listed = {key: (config.words(kind), text) for key, kind, text in config.keys(Outer)}
    assert listed["steps"] == ('a whole number at least 1 or "auto"', config.documentation(Outer)["steps"])
    assert listed["inner.learning_rate"] == ('a number above 0 or "auto"', "Peak learning rate.")
    assert listed["inner.share"] == ("a number in (0, 0.5]", "")
    assert listed["sizes"] == ("a list, each a whole number at least 1", "")
    assert listed["on"] == ("true or false", "")
    assert "inner" not in listed


def test_toml_explains_each_key() -> None:
    lines = config.to_toml(Outer(steps=3)).splitlines()
    assert lines[lines.index("steps = 3") - 1].startswith("# How many steps. And more")
    assert "[inner]" in lines
    assert not any(line.startswith("#") for line in config.to_toml(Outer(), explain=False).splitlines())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
SETTINGS = st.builds(
    Outer,
    steps=st.integers(1) | st.just("auto"),
    seed=st.integers(0),
    rate=st.floats(0, 1) | st.sampled_from([0, 1]),
    decay=st.floats(0, allow_infinity=False),
    on=st.booleans(),
    name=TEXT,
    stop=st.lists(TEXT, max_size=3).map(tuple),
    sizes=st.lists(st.integers(1), max_size=3).map(tuple),
    inner=st.builds(
        Inner,
        learning_rate=POSITIVE | st.just("auto"),
        clip=POSITIVE | st.just("off"),
        share=st.floats(0, 0.5, exclude_min=True),
        offset=st.sampled_from([0, 1]),
        kind=st.sampled_from(["causal", "masked"]),
    ),
)


@given(SETTINGS, st.booleans())
def test_what_is_written_is_read_back_equal(tmp_path_factory: Any, settings: Outer, explain: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.toml"
    path.write_text(config.to_toml(settings, explain=explain), "utf-8")
    assert config.load(Outer, path) == settings


@given(TEXT, TEXT)
def test_no_override_ends_in_anything_but_a_setting_or_a_config_error(key: str, text: str) -> None:
    for name in (key, "name", "steps", "stop", "inner.learning_rate", "inner.kind"):
        try:
            config.load(Outer, overrides=[f"{name}={text}"])
        except ConfigError as error:
            assert error.hint


@given(st.floats(), st.floats(allow_nan=False), st.floats(allow_nan=False), st.booleans(), st.booleans())
def test_a_range_holds_what_lies_between_its_ends(
    value: float, low: float, high: float, open_low: bool, open_high: bool
) -> None:
    inside = low <= value <= high and not (open_low and value == low) and not (open_high and value == high)
    assert (value in Range(low, high, open_low, open_high)) == (inside and math.isfinite(value))
