"""The wheel holds all that the package is, and runs without the sources."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "textus"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip builds it, from a copy, and from no network."""
    pytest.importorskip("setuptools", minversion="77", reason="pip fetches it for whoever builds a wheel")
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("no pyproject.toml here: this is not a checkout")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    return folder / "dist" / done.stdout.split()[-1]


def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("textus/")}
    there = {
        path.relative_to(SOURCE.parent).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == there, "a file that is no module is named in pyproject.toml, under package-data"


def test_it_says_what_it_needs_and_what_it_offers(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel)
    texts = {Path(name).name: files.read(name).decode() for name in files.namelist() if ".dist-info/" in name}
    assert "textus = textus.cli.main:main" in texts["entry_points.txt"]
    assert "Requires-Dist: torch>=2.11" in texts["METADATA"]
    assert "Provides-Extra: gguf" in texts["METADATA"]
    assert texts["LICENSE"] == (ROOT / "LICENSE").read_text("utf-8")


def test_it_runs_without_the_sources(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport textus\nfrom textus.cli.main import main\n"
        f"assert textus.__file__.startswith({str(tmp_path)!r}), textus.__file__\nmain(['completion', 'bash'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("# textus: completion for bash")


def test_its_demonstration_has_its_text_without_a_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "there")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'there')!r})\nfrom textus.corpus import demo\n"
        f"assert demo.__file__.startswith({str(tmp_path)!r})\n"
        "print(next(demo.demo_documents('sotu')).source, next(demo.demo_documents('python')).source)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    sotu, python = done.stdout.split()
    assert sotu.startswith("sotu/") and python.startswith("python/topics/")


def test_what_it_needs_has_a_range(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
    needs = re.findall(r"^Requires-Dist: ([^;\n]+)", files.read(metadata).decode(), re.MULTILINE)
    assert needs and all(">=" in need for need in needs if not need.startswith("textus["))
