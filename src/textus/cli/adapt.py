"""`textus adapt`: make a model fit for a task, with examples of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from textus import config as settings_module
from textus.cli.arguments import Parser, describe_settings, is_setting, listed_settings, parse, show
from textus.cli.console import console
from textus.errors import ConfigError
from textus.verbs.methods import METHODS


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    methods = "\n".join(f"  {name.ljust(10)}  {method.words}" for name, method in METHODS.items())
    made = Parser(
        prog="textus adapt",
        description="Adapt a model with examples, measure it beside simpler ones, and leave another model directory.",
        epilog=f"methods: {'; '.join(methods.split(chr(10)))}",
    )
    made.add_argument("model", help="a run or model directory")
    made.add_argument(
        "items",
        nargs="*",
        metavar="DATA | settings.toml | key=value",
        help="files or folders of examples, a settings file, or settings, in any order",
    )
    made.add_argument("--method", choices=tuple(METHODS), required=True, help="what to make the model fit for")
    made.add_argument(
        "-o", "--out", default="", metavar="DIR", help="the adapted model's directory (default: runs/NAME-METHOD)"
    )
    made.add_argument(
        "--lora", type=int, metavar="RANK", help="learn an adapter of this width and not all weights: lora.rank=RANK"
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    made.add_argument("--print", action="store_true", dest="show", help="print the settings as TOML and stop")
    made.add_argument("--settings", action="store_true", help="list every setting with its meaning and stop")
    options = parse(made, arguments)
    kind = METHODS[options.method].settings_class()
    if options.settings:
        show(options, describe_settings(kind), {"settings": listed_settings(kind)})
        return
    changes = [item for item in options.items if is_setting(item)]
    if options.lora is not None:
        changes.append(f"lora.rank={options.lora}")
    files = [Path(item) for item in options.items if item.endswith(".toml")]
    data = [item for item in options.items if not is_setting(item) and not item.endswith(".toml")]
    if len(files) > 1:
        raise ConfigError(f"{files[1]}: a second settings file", hint="give one, and override it with key=value")
    settings = settings_module.load(kind, files[0] if files else None, changes)
    if options.show:
        show(options, settings_module.to_toml(settings).rstrip("\n"), dataclasses.asdict(settings))
        return
    if not data:
        raise ConfigError(
            "no examples were given",
            hint=f"name files or folders: textus adapt {options.model} examples.jsonl --method {options.method}",
        )
    from textus.verbs.adapt import adapt

    found = adapt(options.model, data, method=options.method, out=options.out, settings=settings, progress=console())
    show(options, f"{found.report.text()}\n\nmodel: {found.directory}", found.as_dict())
