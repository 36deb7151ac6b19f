"""`textus VERB ...`: find the verb's file, run it, and turn every error into one sentence, a hint and an exit code."""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import io
import keyword
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType, ModuleType
from typing import Any, TextIO

from textus.cli.arguments import Parser
from textus.errors import ConfigError, Interrupted, ResourceError, SaidElsewhere, TextusError
from textus.version import __version__

VERBS = {
    "demo": "train, measure and sample on text that is already here, in about three minutes",
    "train": "texts in, a measured model out: clean, tokenize, pack, train, evaluate, report",
    "clean": "read, repair, deduplicate and split texts",
    "tokenize": "learn the vocabulary of a corpus",
    "pack": "turn a corpus into token shards and show the windows they give",
    "import": "take over a model that was made elsewhere",
    "merge": "make one model of several: their mean, or a point between two",
    "inspect": "show a corpus, tokenizer, window, checkpoint or run as text",
    "plan": "say what would be trained, how long it takes and what memory it needs",
    "evaluate": "measure perplexity and bits per byte, with standard errors",
    "compare": "set models side by side on the same text, with intervals and cost",
    "ablate": "train small models without each step of the corpus stage, and say what each is worth",
    "generate": "write text from a prompt",
    "chat": "talk with a model in the terminal",
    "fill": "the likeliest words for the blanks in a text",
    "score": "how likely texts are to a model",
    "embed": "vectors for texts",
    "adapt": "make a model fit for a task, with examples of it",
    "label": "labels for texts, or for their words, by a model that was adapted to give them",
    "serve": "models behind OpenAI's API, with a guard and a page to talk to them",
    "export": "a model for llama.cpp or ONNX Runtime, with what that costs; or its card",
    "doctor": "is all well with the machine and the installation, with advice",
    "completion": "what a shell needs to complete these verbs and their options",
    "moderate": "what is found in texts under a policy, and what of them may pass",
    "redteam": "attack a model and its guard, look for leaks, and write a safety card",
    "audit": "check a log of decisions line by line",
    "watermark": "whether texts carry the mark of a key, with an exact p-value",
}
"""Every verb with its help; the order is that of the pipeline."""
TRACEBACK = "--traceback"
"""Anywhere on the command line: let an error that nobody foresaw through, with where it happened."""
UNEXPECTED = 70
"""Exit code of an error that nobody foresaw: EX_SOFTWARE of sysexits.h."""
_BROKEN_PIPE = 141


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where the main thread stands, so that what is half done is tidied up on the way out."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the first word only; each verb's file knows its own."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name.ljust(width)}  {words}" for name, words in VERBS.items())
    made = Parser(
        prog="textus",
        description="From raw text to a language model that you can measure, adapt, guard and serve.",
        epilog=f"verbs:\n{verbs}\n\n`textus VERB --help` says more; settings are given as key=value.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"textus {__version__}")
    made.add_argument("verb", choices=VERBS, metavar="VERB")
    made.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words, with_traceback = _without_traceback(sys.argv[1:] if arguments is None else arguments)
    _never_fail_to_print(sys.stdout)
    try:
        with _termination():
            try:
                return _run(words)
            finally:
                if sys.stdout is not None:  # closed by who called us
                    sys.stdout.flush()  # here, where its failure can be told, and not when Python ends
    except BrokenPipeError:
        _abandon_stdout()  # the reader of our output has left, as `head` does: nothing is wrong
        return _BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        if with_traceback and not isinstance(error, TextusError | KeyboardInterrupt):
            raise
        known = _known(error)
        return _say(known) if known else _unexpected(error)


def _run(words: Sequence[str]) -> int:
    if not words:
        parser().print_help()
        return 0
    if words[0] not in VERBS:  # argparse would take the verb's own --help for itself
        _unknown(words)
    return int(command_of(words[0]).run(words[1:]) or 0)


def command_of(verb: str) -> ModuleType:
    """Return the module of a verb; Python does not let one be called `import`."""
    return importlib.import_module(f"textus.cli.{verb}{'_' * keyword.iskeyword(verb)}")


def _unknown(words: Sequence[str]) -> None:
    """Let argparse answer `--help` and `--version`, and refuse everything else."""
    if words[0].startswith("-"):
        parser().parse_args(list(words[:1]))
    close = difflib.get_close_matches(words[0], VERBS, n=1)
    hint = f"did you mean `textus {close[0]}`?" if close else f"verbs: {', '.join(VERBS)}"
    raise ConfigError(f"no verb `{words[0]}`", hint=hint)


def _known(error: BaseException) -> TextusError | None:
    """Return an error in our words, or none where it is one that nobody foresaw."""
    if isinstance(error, TextusError):
        return error
    if isinstance(error, KeyboardInterrupt):
        number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        hint = "run the same command again; what was finished is kept and not made again"
        return Interrupted("interrupted", hint=hint, signal_number=number)
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "allocate memory" in str(error):
        return ResourceError(
            "not enough memory", hint="lower training.micro_batch_tokens, the context or the model's size"
        )
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return ResourceError(f"{error.filename}: {error.strerror}", hint="check the path, its permissions and disk")
        # Whatever we write ourselves is named by `storage.refusals`.
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or _refuses(sys.stdout):
            _abandon_stdout()
            return ResourceError(f"stdout: {error.strerror}", hint="send the output to a place that can take it")
    return None


def _unexpected(error: BaseException) -> int:
    first = next(iter(str(error).splitlines()), "")
    message = f"unexpected {type(error).__name__}" + (f": {first}" if first else "")
    hint = f"this is a fault of Textus; run the command again with {TRACEBACK} to see where, and report it"
    _say(TextusError(message, hint=hint))
    return UNEXPECTED


def _say(error: TextusError) -> int:
    if isinstance(error, SaidElsewhere):
        return error.exit_code
    shown = f"error: {_printable(error.message)}"
    with suppress(OSError):  # stderr may be closed or full, and there is nobody left to tell
        print(f"{shown}\n\nhint: {_printable(error.hint)}" if error.hint else shown, file=sys.stderr, flush=True)
    return error.exit_code


def _printable(text: str) -> str:
    """Escape line breaks and what steers a terminal: names of files can hold both."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _without_traceback(words: Sequence[str]) -> tuple[list[str], bool]:
    """Take the flag out of the words, and tell whether it was there; behind `--` it is a word like others."""
    end = list(words).index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != TRACEBACK]
    return [*kept, *words[end:]], len(kept) < end


def _never_fail_to_print(stream: TextIO | None) -> None:
    """Escape what the encoding of `stream` lacks: a text of the user's may hold anything."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _refuses(stream: TextIO | None) -> bool:
    """Tell whether a stream does not take what was printed."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        return True
    return False


def _abandon_stdout() -> None:
    """Let what is left to print go nowhere, so that Python does not complain when it ends."""
    with suppress(OSError, AttributeError):  # not a file where a test or a notebook has taken its place
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _termination() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C is taken, unless somebody handles or ignores it already."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def stop(number: int, frame: FrameType | None) -> Any:
        raise Terminated

    if mine:
        signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
