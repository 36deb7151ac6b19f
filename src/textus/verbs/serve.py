"""Put models behind OpenAI's API. Nothing heavy is imported here: the engine has a process of its own."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textus.errors import CheckpointError, ConfigError
from textus.serving.config import Limits

if TYPE_CHECKING:
    from textus.serving.link import Link
    from textus.serving.run import Place, Server


@dataclass(frozen=True)
class Serving:
    """A server that answers."""

    url: str
    models: tuple[str, ...]
    engine: int
    """The number of the engine's process."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Setup:
    """What is served, and under what guard: all that the engine's process is told."""

    models: Sequence[str | Path]
    """Directories, or NAME=DIRECTORY; the name is otherwise the directory's."""
    adapters: Sequence[str] = ()
    """[NAME=]DIRECTORY[@MODEL]: an adapter that a model hears, as a model of its own; the first model unless named."""
    guard: str | Path = ""
    """The directory of a classifier."""
    policy: str | Path = ""
    """A file, or `default`; with neither this nor a guard, texts pass as they are."""
    audit: str | Path = ""
    """The directory of a log of decisions."""
    audit_key: str | Path = ""
    audit_raw: bool = False
    device: str = "cpu"
    weights: Literal["stored", "int8", "bf16"] = "stored"
    threads: int | Literal["auto"] = "auto"
    limits: Limits = Limits()  # noqa: RUF009 - frozen

    def as_frame(self) -> dict[str, Any]:
        """Return what the engine's process is told."""
        same = ("guard", "policy", "audit", "audit_key")
        return {
            **{name: _absolute(getattr(self, name)) for name in same},
            "audit_raw": self.audit_raw,
            "device": self.device,
            "weights": self.weights,
            "threads": self.threads,
            "limits": dataclasses.asdict(self.limits),
            "models": self._named(),
        }

    def _named(self) -> list[dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for given in map(str, self.models):
            name, directory = _split(given)
            _add(found, name, {"directory": directory, "adapter": ""})
        if not found:
            raise ConfigError("no model was named", hint="textus serve runs/first")
        for given in self.adapters:
            rest, _, base = given.rpartition("@") if "@" in given else (given, "", next(iter(found)))
            if base not in found:
                raise ConfigError(f"--adapter {given}: no model `{base}`", hint=f"served are: {', '.join(found)}")
            name, directory = _split(rest)
            _add(found, name, {"directory": found[base]["directory"], "adapter": directory})
        return [{"name": name, **one} for name, one in found.items()]


def serve_forever(
    setup: Setup, place: Place, *, said: Callable[[Serving], None] = lambda _: None, check: bool = False
) -> None:
    """Serve until SIGTERM or Ctrl-C; `said` is told once requests are answered. With `check` it then stops at once."""
    needs()
    from textus.serving.run import run

    frame = setup.as_frame()

    def tell(url: str, link: Link, server: Server) -> None:
        said(Serving(url, tuple(link.models), link.pid))
        server.should_exit = server.should_exit or check

    asyncio.run(run(COMMAND, frame, place, setup.limits, tell))


@contextmanager
def serve(*models: str | Path, port: int = 0, **options: Any) -> Iterator[Serving]:
    """Serve models in the background as long as the block runs; `options` are those of `Setup`.

    For notebooks and tests: it listens on this machine only, and asks for no keys.
    """
    needs()
    from textus.serving.run import Place, run

    setup = Setup(models, **options)
    frame = setup.as_frame()
    known, told, begun = threading.Event(), [], []
    failures: list[BaseException] = []

    def tell(url: str, link: Link, server: Server) -> None:
        told.append(Serving(url, tuple(link.models), link.pid))
        begun.append(server)
        known.set()

    def work() -> None:
        try:
            asyncio.run(run(COMMAND, frame, Place(port=port), setup.limits, tell))
        except BaseException as error:
            failures.append(error)
        finally:
            known.set()

    thread = threading.Thread(target=work, name="textus serve")
    thread.start()
    try:
        known.wait()
        if not told:
            thread.join()
            raise failures[0]
        yield told[0]
    finally:
        for server in begun:
            server.should_exit = True
        thread.join()
    if failures:
        raise failures[0]


COMMAND = (sys.executable, "-P", "-m", "textus.verbs.serve_engine")
"""What starts the engine's process."""


def needs() -> None:
    """Say what is not installed that serving needs."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"serving needs {missing[0]}, which is not installed", hint="pip install 'textus[serve]'")


def _split(given: str) -> tuple[str, str]:
    """Read [NAME=]DIRECTORY."""
    name, found, directory = given.partition("=")
    if found and name and not Path(given).exists():
        return name, str(Path(directory).resolve())
    path = Path(given).resolve()
    return path.name, str(path)


def _add(found: dict[str, dict[str, str]], name: str, one: Mapping[str, str]) -> None:
    if name in found:
        raise ConfigError(f"two models are called `{name}`", hint="give one another name: NAME=DIRECTORY")
    for directory in filter(None, one.values()):
        if not Path(directory).is_dir():
            raise CheckpointError(f"{directory}: no such directory", hint="give the directory of a run or a model")
    found[name] = dict(one)


def _absolute(given: str | Path) -> str:
    path = Path(given)
    return str(path.resolve()) if str(given) and path.exists() else str(given)
