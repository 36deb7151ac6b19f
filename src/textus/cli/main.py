"""`textus VERB ...`: find the verb's file, run it, and turn every error into one sentence, a hint and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from textus.errors import Interrupted, ResourceError, TextusError
from textus.version import __version__

VERBS = {
    "demo": "train, measure and sample on text that is already here, in about three minutes",
    "train": "texts in, a measured model out: clean, tokenize, pack, train, evaluate, report",
    "clean": "read, repair, deduplicate and split texts",
    "tokenize": "learn the vocabulary of a corpus",
    "pack": "turn a corpus into token shards and show the windows they give",
    "inspect": "show a corpus, tokenizer, window, checkpoint or run as text",
    "plan": "say what would be trained, how long it takes and what memory it needs",
    "evaluate": "measure perplexity and bits per byte, with standard errors",
    "generate": "write text from a prompt",
}
"""Every verb with its help; the order is that of the pipeline."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the first word only; each verb's file knows its own."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name.ljust(width)}  {words}" for name, words in VERBS.items())
    made = argparse.ArgumentParser(
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
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        parser().print_help()
        return 0
    if words[0] in VERBS:  # argparse would take the verb's own --help for itself
        verb, rest = words[0], words[1:]
    else:
        verb, rest = _unknown(words), []
    try:
        command = importlib.import_module(f"textus.cli.{verb}")
        return int(command.run(rest) or 0)
    except TextusError as error:
        return _say(error)
    except KeyboardInterrupt:
        return _say(Interrupted("interrupted", hint="finished stages are kept; run the same command again to go on"))
    except MemoryError:
        return _say(ResourceError("not enough memory", hint="lower training.micro_batch_tokens or the model's size"))
    except BrokenPipeError:
        # The reader of our output has left, as `head` does: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _unknown(words: Sequence[str]) -> str:
    """Let argparse answer `--help`, `--version` and a wrong verb."""
    import difflib

    close = difflib.get_close_matches(words[0], VERBS, n=1)
    if close and not words[0].startswith("-"):
        raise SystemExit(_say(TextusError(f"no verb `{words[0]}`", hint=f"did you mean `textus {close[0]}`?")))
    return str(parser().parse_args(list(words)).verb)


def _say(error: TextusError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
