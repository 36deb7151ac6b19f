"""What is not installed is named, with the line that installs it."""

from __future__ import annotations

import json

import pytest

from textus.errors import ConfigError
from textus.exporting.extras import needed


def test_what_is_installed_is_imported() -> None:
    assert needed("json") is json
    assert needed("gguf", ("json", "math")) is json


def test_what_is_not_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(ConfigError, match="needs the library no_such_library, which is not installed") as refused:
        needed("gguf", ("json", "no_such_library"))
    assert refused.value.hint == "pip install 'textus[gguf]'"
