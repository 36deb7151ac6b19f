"""`textus import`: take over a model that was made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus import",
        description="Take over a model from a Hugging Face directory: Llama, Mistral, Qwen2, Qwen3, GPT-2, BERT or "
        "ModernBERT, safetensors only. Other commands open such a directory as it is, too.",
    )
    made.add_argument("model", help="the directory that was downloaded")
    made.add_argument("-o", "--out", default="", metavar="DIR", help="the new directory (default: runs/NAME)")
    made.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="the format to store weights in (default: float32, in which training goes on)",
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.import_ import import_

    found = import_(options.model, options.out, dtype=options.dtype)
    show(options, found.report.text(), found.as_dict())
