"""The engine's process of `textus serve`: open what the first frame names, and serve it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.errors import TextusError
from textus.safety.audit import Audit
from textus.serving import frames
from textus.serving.config import Limits
from textus.serving.gate import Gate
from textus.serving.served import Served
from textus.serving.worker import Worker
from textus.verbs.audit import key_of
from textus.verbs.chat import form_of
from textus.verbs.embed import embed
from textus.verbs.fill import fill
from textus.verbs.generate import ended, run_sampling, strategy_for
from textus.verbs.guarding import gate_of
from textus.verbs.load import load
from textus.verbs.threads import use_threads


def main() -> int:
    """Serve what stdin asks for; stdout is for frames alone, whatever a library prints."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        setup = frames.read(source)
    except EOFError:
        return 0
    try:
        limits = settings.build(Limits, setup["limits"], "limits")
        models = {one["name"]: _served(one, setup, limits) for one in setup["models"]}
        worker = Worker(models, _gate(setup), limits, source, sink)
    except TextusError as error:
        sink.write(frames.packed({"refused": {"message": error.message, "hint": error.hint}}))
        sink.flush()
        return error.exit_code
    worker.run()
    return 0


def _served(one: Mapping[str, Any], setup: Mapping[str, Any], limits: Limits) -> Served:
    opened = load(one["directory"], device=setup["device"], adapter=one["adapter"], weights=setup["weights"])
    use_threads(opened, setup["threads"])
    sampling = ended(opened, run_sampling(opened.manner if opened.adapter else opened.directory))

    def vectors(texts: Any, dimensions: Any) -> Any:
        return embed(opened, texts, dimensions=dimensions)

    def filled(text: str, top_k: int) -> Any:
        return fill(opened, text, top_k=top_k)

    return Served(
        one["name"], opened, sampling, form_of(opened), partial(strategy_for, opened), vectors, filled, limits
    )


def _gate(setup: Mapping[str, Any]) -> Gate:
    audit = None
    if setup["audit"]:
        audit = Audit(Path(setup["audit"]), key=key_of(setup["audit_key"]), raw=setup["audit_raw"])
    return Gate(gate_of(setup["policy"], setup["guard"], audit, setup["device"]))


if __name__ == "__main__":
    sys.exit(main())
