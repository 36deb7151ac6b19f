"""`textus generate`: write text from a prompt, streamed as it comes, or from a file of prompts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from textus.cli.arguments import Parser, parse, show
from textus.cli.lines import piped
from textus.cli.sampling import add_flags, add_gate, add_model, open_gate, open_model, sampling
from textus.errors import ConfigError, InputError

MOST_TEXTS = 2**20
"""As many as `decoding.generate` will write."""
GRAMMARS: Mapping[str, Literal["json", "regex", "lark"]] = {"json_schema": "json", "regex": "regex", "grammar": "lark"}
"""The flags that give a grammar, and its kind."""


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(_parser(), arguments)
    if not 1 <= options.n <= MOST_TEXTS:
        raise ConfigError(f"-n is {options.n}", hint=f"write 1 to {MOST_TEXTS} texts")
    if options.prompts:
        _write_many(options)
        return
    prompt = _prompt(options)
    from textus.verbs.generate import run_sampling

    config = sampling(options, run_sampling(Path(options.model)))
    opened = open_model(options)
    if options.examples:
        prompt, config = _with_examples(options, opened, prompt, config)
    _write(options, opened, prompt, config)


def _parser() -> Parser:
    made = Parser(prog="textus generate", description="Continue a prompt, or every prompt of a file.")
    add_model(made)
    made.add_argument("prompt", nargs="?", help="text to continue (default: begin a document; -: read stdin)")
    made.add_argument("-n", type=int, default=1, metavar="N", help="how many texts to write for a prompt")
    made.add_argument("--prompt-file", metavar="FILE", help="read the prompt from a file")
    made.add_argument("--prompts", metavar="FILE", help="a prompt from each line of a JSONL file; needs -o")
    made.add_argument("-o", "--out", metavar="FILE", help="with --prompts: where each line goes, with its completions")
    made.add_argument(
        "--cut",
        choices=("refuse", "start", "end"),
        default="refuse",
        help="which end of a prompt that is too long is left out",
    )
    made.add_argument(
        "--show-probabilities", action="store_true", help="colour each token, and list what else was likely"
    )
    made.add_argument(
        "--alternatives", type=int, default=0, metavar="N", help="with --json: this many tokens per place"
    )
    made.add_argument("--draft", metavar="ngram|MODEL", help="guess ahead: from the text itself or by a smaller model")
    grammar = made.add_mutually_exclusive_group()
    grammar.add_argument(
        "--json-schema", metavar="FILE", help="write only JSON that this schema allows ({} in a file: any)"
    )
    grammar.add_argument("--regex", metavar="REGEX", help="write only what this expression matches")
    grammar.add_argument("--grammar", metavar="FILE", help="write only what this Lark grammar allows")
    made.add_argument("--whitespace", type=int, default=0, metavar="N", help="blanks in a row that JSON may have")
    made.add_argument(
        "--examples", metavar="FILE", help="show solved examples before the prompt: JSONL, input and output"
    )
    made.add_argument("--shots", type=int, default=3, metavar="N", help="how many examples")
    made.add_argument(
        "--choose", choices=("fixed", "random", "nearest"), default="fixed", help="which examples: first, random, alike"
    )
    made.add_argument("--template", metavar="TEXT", help="the form of an example, with {input} and {output}")
    add_gate(made)
    add_flags(made)
    return made


def _write(options: argparse.Namespace, opened: Any, prompt: str, config: Any) -> None:
    from textus.cli.colours import show_probabilities
    from textus.decoding.piece import collect
    from textus.verbs.generate import strategy_for, stream

    grammar, streamed = _grammar(options), options.n == 1 and not (options.json or options.show_probabilities)
    alternatives = options.alternatives or (5 if options.show_probabilities else 0)
    began = time.monotonic()
    pieces = []
    for piece in stream(
        opened,
        prompt,
        config,
        n=options.n,
        cut=options.cut,
        alternatives=alternatives,
        grammar=grammar,
        draft=_draft(options),
        gate=open_gate(options),
    ):
        pieces.append(piece)
        if streamed:
            print((prompt if len(pieces) == 1 else "") + piece.text, end="", flush=True)
    completions = collect(pieces, options.n, config.logprobs)
    seconds = time.monotonic() - began
    if streamed:
        print()
    for completion in completions if not options.json else ():
        if completion.finish_reason in ("loop", "content_filter"):
            print(f"stopped: {completion.why}", file=sys.stderr)
    if streamed:
        return
    if options.show_probabilities and not options.json:
        for completion in completions:
            show_probabilities(prompt, completion, opened.tokenizer.token_text, sys.stdout)
        return
    value = {
        "prompt": prompt,
        "completions": [completion.as_dict() for completion in completions],
        "sampling": strategy_for(opened, config, grammar).describe(),
        "order": config.order,
        "logprobs": config.logprobs,
        "seed": config.seed,
        "tokens_per_second": len(pieces) / seconds if seconds else 0.0,
    }
    show(options, "\n\n".join(prompt + completion.text for completion in completions), value)


def _write_many(options: argparse.Namespace) -> None:
    if not options.out or options.prompt is not None or options.prompt_file or options.examples:
        raise ConfigError(
            "--prompts stands alone, with -o", hint="textus generate MODEL --prompts in.jsonl -o out.jsonl"
        )
    from textus.cli.console import console
    from textus.verbs.generate import run_sampling
    from textus.verbs.generate_many import generate_many

    config = sampling(options, run_sampling(Path(options.model)))
    done = generate_many(
        open_model(options),
        Path(options.prompts),
        Path(options.out),
        config,
        n=options.n,
        cut=options.cut,
        grammar=_grammar(options),
        draft=_draft(options),
        gate=open_gate(options),
        progress=console(),
    )
    already = f" ({done} were there already)" if done else ""
    show(options, f"{options.out}: written{already}", {"out": options.out, "done_before": done})


def _prompt(options: argparse.Namespace) -> str:
    """Return the prompt; one that is given must not be empty."""
    if options.prompt is not None and options.prompt_file:
        raise ConfigError("two prompts: a word and --prompt-file", hint="give one of them")
    if options.prompt is None and not options.prompt_file:
        return ""
    if options.prompt_file:
        prompt = _read(Path(options.prompt_file))
    else:
        prompt = piped("prompt") if options.prompt == "-" else str(options.prompt)
    if not prompt:
        raise ConfigError("the prompt is empty", hint="leave it out to let the model begin a document")
    return prompt


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check the path of the file") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8` first"
        ) from None


def _with_examples(options: argparse.Namespace, opened: Any, prompt: str, config: Any) -> tuple[str, Any]:
    """Put solved examples before the prompt; unless told otherwise, the answer ends where an example's ends."""
    from textus import config as settings
    from textus.decoding.fewshot import TEMPLATE
    from textus.verbs.fewshot import few_shot_prompt

    template = TEMPLATE if options.template is None else options.template.replace("\\n", "\n")
    prompt, ending = few_shot_prompt(
        opened,
        Path(options.examples),
        prompt,
        shots=options.shots,
        choice=options.choose,
        template=template,
        seed=config.seed,
    )
    return prompt, settings.replace(config, {"stop": (ending,)}) if ending and not config.stop else config


def _grammar(options: argparse.Namespace) -> Any:
    from textus.decoding.constrain import Grammar

    for name, kind in GRAMMARS.items():
        if (given := getattr(options, name)) is not None:
            return Grammar(kind, given if name == "regex" else _read(Path(given)), options.whitespace)
    return None


def _draft(options: argparse.Namespace) -> Any:
    from textus.decoding.speculative import Ngrams, SmallModel

    if not options.draft:
        return None
    if options.draft == "ngram":
        return Ngrams()
    from textus.verbs.load import load

    small = load(options.draft, device=options.device)
    return SmallModel(small.model, small.tokenizer)
