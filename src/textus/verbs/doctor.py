"""Look at the machine and the installation, try the whole way once in small, and say what could be better."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from textus.corpus.corpus import Corpus
from textus.errors import TextusError
from textus.progress import SILENT, Progress
from textus.report import Shown
from textus.training import machine
from textus.training.config import TrainConfig
from textus.verbs.clean import clean
from textus.verbs.evaluate import evaluate
from textus.verbs.generate import generate
from textus.verbs.load import load
from textus.verbs.train import train
from textus.version import __version__

State = Literal["good", "advice", "failed"]
LEAST_MEMORY, LEAST_DISK = 2 * 2**30, 2 * 2**30
_TEXTS = 32
_WORDS = ("loom", "weaver", "thread", "shuttle", "cloth", "pattern", "warp", "weft", "spindle", "wool", "linen", "dye")
_SMALL: dict[str, Any] = {
    "corpus.deduplicate": "none",
    "training.steps": 3,
    "training.batch_tokens": 256,
    "training.evaluate_every": 3,
    "training.evaluate_tokens": 512,
    "model.context_length": 64,
    "model.num_layers": 1,
    "model.hidden_size": 32,
    "sampling.max_tokens": 8,
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    words: str
    """What was found."""
    advice: str = ""
    """What to do about it."""


@dataclass(frozen=True)
class Diagnosis(Shown):
    """All that was looked at."""

    findings: tuple[Finding, ...]
    seconds: float

    @property
    def healthy(self) -> bool:
        """Tell whether nothing failed."""
        return all(finding.state != "failed" for finding in self.findings)

    def __str__(self) -> str:
        width = max(len(finding.name) for finding in self.findings)
        lines = []
        for finding in self.findings:
            mark = {"good": "ok", "advice": "!", "failed": "FAILED"}[finding.state]
            lines.append(f"{finding.name.ljust(width)}  {mark.ljust(6)}  {finding.words}")
            lines += [f"{' ' * width}  {' ' * 6}  -> {finding.advice}"] if finding.advice else []
        end = "all is well" if self.healthy else "something is wrong, see above"
        return "\n".join([*lines, f"{end}; {self.seconds:.0f} seconds"])

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "healthy": self.healthy,
            "findings": [asdict(finding) for finding in self.findings],
            "seconds": self.seconds,
        }


def doctor(*, self_test: bool = True, progress: Progress = SILENT) -> Diagnosis:
    """Look at versions, device, memory and disk, and with `self_test` clean, train, load and write once in small.

    A part that fails is a finding, not an error. Nothing is left behind.
    """
    began = time.monotonic()
    findings = [_software(), _libraries(), _extras(), _processor(), _accelerator(), _memory(), _disk()]
    if self_test:
        with (
            tempfile.TemporaryDirectory(prefix="textus-doctor-") as folder,
            progress.task("self-test", 3, "parts") as task,
        ):
            for part in (_corpus, _training, _writing):
                findings.append(_tried(part, Path(folder)))
                task.advance()
                if findings[-1].state == "failed":
                    break
    return Diagnosis(tuple(findings), time.monotonic() - began)


def _software() -> Finding:
    words = f"Textus {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    if platform.system() != "Linux":
        return Finding("software", "advice", words, "Textus is tested on Linux only: tell us what does not work")
    return Finding("software", "good", words)


def _libraries() -> Finding:
    needed = _requirements(extra="")
    missing = [name for name in needed if _version(name) is None]
    words = ", ".join(f"{name} {_version(name)}" for name in needed if name not in missing)
    if missing:
        return Finding("libraries", "failed", f"not installed: {', '.join(missing)}", "pip install textus")
    return Finding("libraries", "good", words or "torch " + torch.__version__)


def _extras() -> Finding:
    """Say which extras are there; none has to be."""
    try:
        offered = importlib.metadata.metadata("textus").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return Finding("extras", "advice", "Textus runs from its sources, uninstalled", "pip install -e .")
    wanted = {extra: _requirements(extra) for extra in offered if extra != "dev"}
    there = {extra: all(_version(name) for name in names) for extra, names in wanted.items()}
    words = "; ".join(
        f"{what}: {', '.join(sorted(extra for extra, is_there in there.items() if is_there == state)) or 'none'}"
        for what, state in (("there", True), ("not there", False))
    )
    return Finding("extras", "good", words)


def _processor() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    words = f"{usable} usable cores, torch uses {threads}; {machine.device_name('cpu')}"
    if threads > usable:
        return Finding("processor", "advice", words, f"more threads than cores only wait: OMP_NUM_THREADS={usable}")
    return Finding("processor", "good", words)


def _accelerator() -> Finding:
    """Look for a GPU, and for one that torch cannot use."""
    if torch.cuda.is_available():
        count, (free, total) = torch.cuda.device_count(), torch.cuda.mem_get_info()
        words = f"{count} x {torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        if not torch.cuda.is_bf16_supported():
            return Finding(
                "accelerator", "advice", words, "it has no bf16: training takes fp16, or training.precision=fp32"
            )
        if free < total / 2:
            return Finding("accelerator", "advice", words, "another process holds its memory: see nvidia-smi")
        return Finding("accelerator", "good", words)
    if torch.backends.mps.is_available():
        return Finding("accelerator", "good", "Apple's GPU (mps)")
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        advice = "install the build of torch for CUDA, with the command that PyTorch's own page gives"
        return Finding(
            "accelerator", "advice", f"a GPU's driver is here, and torch {torch.__version__} finds none", advice
        )
    return Finding("accelerator", "good", "none; models of some millions of parameters train on the CPU")


def _memory() -> Finding:
    free = machine.room("cpu")
    words = f"{free / 2**30:.1f} GiB free"
    if free < LEAST_MEMORY:
        advice = "plan before training (`textus plan`), or lower training.micro_batch_tokens and the model's size"
        return Finding("memory", "advice", words, advice)
    return Finding("memory", "good", words)


def _disk() -> Finding:
    here, scratch = (shutil.disk_usage(place).free for place in (Path(), Path(tempfile.gettempdir())))
    words = f"{here / 2**30:.1f} GiB free here, {scratch / 2**30:.1f} GiB in {tempfile.gettempdir()}"
    if not os.access(Path(), os.W_OK):
        return Finding("disk", "advice", f"{words}; this folder cannot be written to", "go to another, or give -o")
    if min(here, scratch) < LEAST_DISK:
        return Finding("disk", "advice", words, "free some, or set TMPDIR and -o to a larger disk")
    return Finding("disk", "good", words)


def _tried(part: Callable[[Path], Finding], folder: Path) -> Finding:
    """Run a part of the self-test; whatever it raises is what was found."""
    threads, began = torch.get_num_threads(), time.monotonic()
    try:
        found = part(folder)
    except TextusError as error:
        return Finding(part.__name__.strip("_"), "failed", error.message, error.hint)
    except Exception as error:  # a library that is broken may raise anything
        words = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        return Finding(part.__name__.strip("_"), "failed", words, "report it, with the output of textus doctor --json")
    finally:
        torch.set_num_threads(threads)
    return Finding(found.name, found.state, f"{found.words}, {time.monotonic() - began:.1f} s", found.advice)


def _corpus(folder: Path) -> Finding:
    """Write texts, clean them, and read them back."""
    texts = {f"{number}.txt": _text(number) for number in range(_TEXTS)}
    (folder / "texts").mkdir()
    for name, text in texts.items():
        (folder / "texts" / name).write_text(text, "utf-8")
    clean(folder / "texts", out=folder / "run", settings=_SMALL)
    corpus = Corpus.open(folder / "run/corpus")
    back = sorted(document.text.strip() for split in corpus.splits for document in corpus.documents(split))
    if back != sorted(text.strip() for text in texts.values()):
        return Finding("corpus", "failed", "texts do not come back from a corpus as they went in", "reinstall pyarrow")
    return Finding("corpus", "good", f"{_TEXTS} texts went into a corpus and came back")


def _training(folder: Path) -> Finding:
    """Train a few steps on the device that a run would take."""
    result = train(folder / "texts", out=folder / "run", settings=_SMALL)
    device = machine.look(TrainConfig()).device
    loss = evaluate(result.directory, look_in_training=False).score("loss").value
    if not math.isfinite(loss):
        return Finding("training", "failed", f"the loss is {loss}", "try training.precision=fp32")
    return Finding("training", "good", f"three steps on {device}, loss {loss:.2f}")


def _writing(folder: Path) -> Finding:
    """Open the model, and let it write twice and read what it wrote."""
    opened = load(folder / "run")
    first, second = (generate(opened, "Once", temperature=0.0, max_tokens=8)[0] for _ in range(2))
    text = "Ça va? 天地 🙂\t\n"
    if first.tokens != second.tokens or opened.tokenizer.decode(opened.tokenizer.encode(text)) != text:
        return Finding(
            "writing", "failed", "the same prompt gave two texts, or a text its tokens did not keep", "report it"
        )
    return Finding("writing", "good", f"{len(first.tokens)} tokens, the same twice")


def _text(number: int) -> str:
    """Return a text unlike the others."""
    return ". ".join(
        f"{_WORDS[(number + step) % 12]} {_WORDS[(number * 5 + step * step) % 12]} {number * 37 + step}"
        for step in range(40)
    )


def _requirements(extra: str) -> list[str]:
    """Return the names that Textus, or one of its extras, asks for."""
    try:
        lines = importlib.metadata.requires("textus") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = []
    for line in lines:
        name, _, marker = line.partition(";")
        if "platform" in marker and not extra:
            continue  # only some machines have it
        of = re.search(r"""extra == ["']([\w-]+)["']""", marker)
        if (of[1] if of else "") == extra:
            found.append(re.split(r"[^\w.-]", name.strip())[0])
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
