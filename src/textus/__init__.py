"""Textus: from raw text to a language model that you can measure, adapt, guard and serve.

```python
import textus

run = textus.train("my_texts/", out="runs/first")
print(textus.evaluate("runs/first").score("bits_per_byte"))
print(textus.generate("runs/first", "Once upon a time", temperature=0.8)[0].text)
```
Names are loaded when they are first used, so `import textus` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from textus.version import __version__

if TYPE_CHECKING:
    from textus.checkpoint.checkpoint import Checkpoint
    from textus.cli.completion import completion
    from textus.cli.console import console
    from textus.corpus.config import CorpusConfig
    from textus.corpus.corpus import Corpus
    from textus.corpus.document import Document
    from textus.dataset.loader import Loader
    from textus.dataset.pack import Windows
    from textus.dataset.tokenize import Shards
    from textus.decoding.chat import Message
    from textus.decoding.config import SamplingConfig
    from textus.decoding.constrain import Grammar
    from textus.decoding.penalties import RepetitionPenalty
    from textus.decoding.piece import Completion
    from textus.decoding.processors import MinP, Temperature, TopK, TopP
    from textus.decoding.strategy import Greedy, Sample
    from textus.errors import TextusError
    from textus.evaluation.ablation import Ablation
    from textus.model.config import ModelConfig
    from textus.model.transformer import Transformer
    from textus.objectives.causal import Causal
    from textus.objectives.diffusion import Diffusion
    from textus.objectives.hybrid import Hybrid
    from textus.objectives.masked import Masked
    from textus.report import Report, Score
    from textus.tokenizer.config import TokenizerConfig
    from textus.tokenizer.tokenizer import Tokenizer
    from textus.training.config import TrainConfig
    from textus.verbs.ablate import ablate
    from textus.verbs.adapt import adapt
    from textus.verbs.audit import audit
    from textus.verbs.calibration import calibration
    from textus.verbs.chat import chat
    from textus.verbs.clean import clean
    from textus.verbs.compare import Compared, compare
    from textus.verbs.contexts import plan_contexts
    from textus.verbs.demo import demo
    from textus.verbs.doctor import Diagnosis, doctor
    from textus.verbs.embed import embed
    from textus.verbs.evaluate import evaluate
    from textus.verbs.evaluate_contexts import evaluate_contexts
    from textus.verbs.evaluate_parts import evaluate_parts
    from textus.verbs.export import Exported, export
    from textus.verbs.fill import fill
    from textus.verbs.generate import generate, stream
    from textus.verbs.import_ import import_
    from textus.verbs.inspect import inspect
    from textus.verbs.label import label
    from textus.verbs.load import load
    from textus.verbs.merge import Merged, merge
    from textus.verbs.moderate import moderate
    from textus.verbs.pack import pack
    from textus.verbs.plan import plan
    from textus.verbs.probe import probe
    from textus.verbs.redteam import redteam
    from textus.verbs.score import score
    from textus.verbs.serve import serve
    from textus.verbs.settings import RunSettings
    from textus.verbs.surprise import surprise
    from textus.verbs.tokenize import tokenize
    from textus.verbs.train import TrainResult, train
    from textus.verbs.watermark import watermark

_PLACES = {
    "Ablation": "evaluation.ablation",
    "Causal": "objectives.causal",
    "Checkpoint": "checkpoint.checkpoint",
    "Compared": "verbs.compare",
    "Completion": "decoding.piece",
    "Corpus": "corpus.corpus",
    "CorpusConfig": "corpus.config",
    "Diagnosis": "verbs.doctor",
    "Diffusion": "objectives.diffusion",
    "Document": "corpus.document",
    "Exported": "verbs.export",
    "Grammar": "decoding.constrain",
    "Greedy": "decoding.strategy",
    "Hybrid": "objectives.hybrid",
    "Loader": "dataset.loader",
    "Masked": "objectives.masked",
    "Merged": "verbs.merge",
    "Message": "decoding.chat",
    "MinP": "decoding.processors",
    "ModelConfig": "model.config",
    "RepetitionPenalty": "decoding.penalties",
    "Report": "report",
    "RunSettings": "verbs.settings",
    "Sample": "decoding.strategy",
    "SamplingConfig": "decoding.config",
    "Score": "report",
    "Shards": "dataset.tokenize",
    "Temperature": "decoding.processors",
    "TextusError": "errors",
    "Tokenizer": "tokenizer.tokenizer",
    "TokenizerConfig": "tokenizer.config",
    "TopK": "decoding.processors",
    "TopP": "decoding.processors",
    "TrainConfig": "training.config",
    "TrainResult": "verbs.train",
    "Transformer": "model.transformer",
    "Windows": "dataset.pack",
    "ablate": "verbs.ablate",
    "adapt": "verbs.adapt",
    "audit": "verbs.audit",
    "calibration": "verbs.calibration",
    "chat": "verbs.chat",
    "clean": "verbs.clean",
    "compare": "verbs.compare",
    "completion": "cli.completion",
    "console": "cli.console",
    "demo": "verbs.demo",
    "doctor": "verbs.doctor",
    "embed": "verbs.embed",
    "evaluate": "verbs.evaluate",
    "evaluate_contexts": "verbs.evaluate_contexts",
    "evaluate_parts": "verbs.evaluate_parts",
    "export": "verbs.export",
    "fill": "verbs.fill",
    "generate": "verbs.generate",
    "import_": "verbs.import_",
    "inspect": "verbs.inspect",
    "label": "verbs.label",
    "load": "verbs.load",
    "merge": "verbs.merge",
    "moderate": "verbs.moderate",
    "pack": "verbs.pack",
    "plan": "verbs.plan",
    "plan_contexts": "verbs.contexts",
    "probe": "verbs.probe",
    "redteam": "verbs.redteam",
    "score": "verbs.score",
    "serve": "verbs.serve",
    "stream": "verbs.generate",
    "surprise": "verbs.surprise",
    "tokenize": "verbs.tokenize",
    "train": "verbs.train",
    "watermark": "verbs.watermark",
}
"""Where each public name lives."""

__all__ = [
    "Ablation",
    "Causal",
    "Checkpoint",
    "Compared",
    "Completion",
    "Corpus",
    "CorpusConfig",
    "Diagnosis",
    "Diffusion",
    "Document",
    "Exported",
    "Grammar",
    "Greedy",
    "Hybrid",
    "Loader",
    "Masked",
    "Merged",
    "Message",
    "MinP",
    "ModelConfig",
    "RepetitionPenalty",
    "Report",
    "RunSettings",
    "Sample",
    "SamplingConfig",
    "Score",
    "Shards",
    "Temperature",
    "TextusError",
    "Tokenizer",
    "TokenizerConfig",
    "TopK",
    "TopP",
    "TrainConfig",
    "TrainResult",
    "Transformer",
    "Windows",
    "__version__",
    "ablate",
    "adapt",
    "audit",
    "calibration",
    "chat",
    "clean",
    "compare",
    "completion",
    "console",
    "demo",
    "doctor",
    "embed",
    "evaluate",
    "evaluate_contexts",
    "evaluate_parts",
    "export",
    "fill",
    "generate",
    "import_",
    "inspect",
    "label",
    "load",
    "merge",
    "moderate",
    "pack",
    "plan",
    "plan_contexts",
    "probe",
    "redteam",
    "score",
    "serve",
    "stream",
    "surprise",
    "tokenize",
    "train",
    "watermark",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its place (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module 'textus' has no attribute {name!r}")
    return getattr(importlib.import_module(f"textus.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
