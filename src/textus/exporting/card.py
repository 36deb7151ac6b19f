"""A model card in Hugging Face's format: what is known of a model and nothing else.

Every sentence stands on a number or a setting that the run has kept; where there is none, there is no sentence. A
licence is the user's to choose, so it is never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from textus.report import Score, Table

LEAST_SHARE = 0.01
"""A language that fewer documents are in than this is not named in the card's head."""
_JOULES = 3.6e6
_SHOWN = (
    "steps", "batch_tokens", "optimizer", "learning_rate", "schedule", "warmup_steps", "weight_decay", "gradient_clip",
    "precision", "device", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Assumptions:
    """What an estimate of energy stands on beside the measured seconds."""

    watts: float
    """What the machine draws while it trains."""
    grams_per_kwh: float
    """Carbon dioxide for a kilowatt-hour, in grams."""
    price_per_kwh: float
    """In whatever currency the reader pays."""


@dataclass(frozen=True)
class Known:
    """What is known of a model: `provenance.json`, and of a run also what it has left beside it."""

    name: str
    parameters: int
    reads: str
    """`causal`, `bidirectional`, or `both`."""
    context_length: int
    vocab_size: int
    provenance: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    """`training.json`."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """`result.json`."""
    corpus: Mapping[str, Any] = field(default_factory=dict)
    """`corpus/report.json`."""
    safety: Mapping[str, Any] = field(default_factory=dict)
    """The sections of `safety_card.json`."""


def card(known: Known, licence: str, assumed: Assumptions) -> str:
    """Write the card: a YAML head for machines, and sections for people, each only where something is known."""
    sections = {
        "What it is": _what(known),
        "Use": _use(known),
        "Text": _text(known),
        "Training": _training(known),
        "Scores": _scores(known),
        "Safety": _safety(known),
        "Limits": _limits(known),
        "Energy": _energy(known, assumed),
        "Where it came from": _origin(known),
    }
    body = "\n\n".join(f"## {title}\n\n{words}" for title, words in sections.items() if words)
    return f"---\n{_head(known, licence)}---\n\n# {known.name}\n\n{body}\n"


def _head(known: Known, licence: str) -> str:
    """Return the YAML: each value as JSON, which YAML contains."""
    languages = known.corpus.get("languages") or {}
    total = sum(languages.values())
    spoken = [name for name, count in _most(languages) if count >= LEAST_SHARE * total and name.isalpha()]
    values = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask" if known.reads == "bidirectional" else "text-generation",
        "license": licence,
        "language": spoken,
        "tags": ["textus"],
        "model-index": _index(known),
    }
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items() if value)


def _index(known: Known) -> list[dict[str, Any]]:
    scores = known.result.get("scores") or []
    if not scores:
        return []
    task = {"type": "fill-mask" if known.reads == "bidirectional" else "text-generation"}
    data = {"type": "text", "name": f"validation part of corpus {str(known.provenance.get('corpus', ''))[:12]}"}
    metrics = [
        {"type": score["name"], "value": score["value"], "name": score["name"].replace("_", " ")} for score in scores
    ]
    return [{"name": known.name, "results": [{"task": task, "dataset": data, "metrics": metrics}]}]


def _what(known: Known) -> str:
    kinds = {
        "causal": "writes text from left to right",
        "bidirectional": "predicts hidden words from both sides",
        "both": "writes text from left to right, and predicts hidden words from both sides",
    }
    version = (known.provenance.get("versions") or {}).get("textus")
    made = f" It was trained with Textus {version}." if version else ""
    parent = known.provenance.get("parent")
    begun = f" It began from the weights of another model, whose fingerprint is `{parent}`." if parent else ""
    return (
        f"A language model that {kinds[known.reads]}: {known.parameters:,} parameters, a context of "
        f"{known.context_length:,} tokens, a vocabulary of {known.vocab_size:,}.{made}{begun}"
    )


def _use(known: Known) -> str:
    kind = "AutoModelForMaskedLM" if known.reads == "bidirectional" else "AutoModelForCausalLM"
    return (
        f"```python\nfrom transformers import AutoTokenizer, {kind}\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{known.name}")\n'
        f'model = {kind}.from_pretrained("{known.name}")\n```'
    )


def _text(known: Known) -> str:
    return "\n".join(_text_lines(known.corpus)) if known.corpus else ""


def _text_lines(corpus: Mapping[str, Any]) -> Iterator[str]:
    for name, part in (corpus.get("splits") or {}).items():
        yield f"- {name}: {part['documents']:,} documents, {part['bytes'] / 1e6:,.2f} MB"
    documents = corpus.get("documents") or {}
    dropped = documents.get("dropped") or {}
    if documents.get("read"):
        why = ", ".join(f"{reason} {_count(count):,}" for reason, count in dropped.items())
        yield f"- read {_count(documents['read']):,} documents" + (f"; dropped: {why}" if why else "; none was dropped")
    for title, key in (
        ("sources", "sources"),
        ("languages, by document", "languages"),
        ("licences that documents name", "licences"),
        ("personal data and secrets found, by kind", "private"),
    ):
        found = corpus.get(key) or {}
        if found:
            named = ", ".join(f"{name} {count:,}" for name, count in _most(found)[:12])
            yield f"- {title}: {named}" + (f", and {len(found) - 12} more" if len(found) > 12 else "")
    leakage = corpus.get("leakage") or {}
    if "of these seen in training" in leakage:
        yield (
            f"- of {leakage['held-out documents']:,} held-out documents, training shows "
            f"{leakage['of these seen in training']:,} by what is nearly the same"
        )


def _training(known: Known) -> str:
    settings = known.provenance.get("settings") or {}
    rows: dict[str, Any] = {}
    objective = (settings.get("objective") or {}).get("name")
    if objective:
        rows["objective"] = objective
    rows |= {name: value for name, value in (settings.get("training") or {}).items() if name in _SHOWN}
    record = known.training
    rows |= {
        words: record[name] for name, words in (("steps", "steps taken"), ("tokens", "tokens asked")) if name in record
    }
    if record.get("peak_memory_bytes"):
        rows["peak memory, MiB"] = round(record["peak_memory_bytes"] / 2**20)
    shape = settings.get("model") or {}
    rows |= {name: shape[name] for name in ("num_layers", "hidden_size", "num_heads", "num_kv_heads") if name in shape}
    return Table.of(rows, ("setting", "value")).markdown() if rows else ""


def _scores(known: Known) -> str:
    scores = known.result.get("scores") or []
    if not scores:
        return ""
    words = [Table.of_scores(Score(**score) for score in scores).markdown()]
    names = {score["name"] for score in scores}
    beside = {name: value for name, value in (known.result.get("baselines") or {}).items() if name != "details"}
    if beside and names & {"bits_per_byte", "bits_per_byte_bound"}:
        others = ", ".join(f"{name} {value:.3f}" for name, value in beside.items())
        words.append(f"Bits per byte of others on the same text, after the training text: {others}.")
    words.append(
        "All are of the validation part, which was held out by document. Perplexity and loss can be compared only "
        "between models with the same tokenizer on the same text; bits per byte between all models of the same text."
    )
    return "\n\n".join(words)


def _safety(known: Known) -> str:
    """Return what `textus redteam` found, section by section."""
    return "\n\n".join(f"### {title}\n\n{_shown(part)}" for title, part in known.safety.items())


def _shown(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        return Table.of(part).markdown()
    return Table(tuple(part[0]), tuple(tuple(row.values()) for row in part)).markdown() if part else ""


def _limits(known: Known) -> str:
    words = ["Trained on private text, a model can repeat it word for word."]
    if not known.safety:
        words.append("Nothing is recorded of tests for false, harmful or unfair output.")
    return " ".join(words)


def _energy(known: Known, assumed: Assumptions) -> str:
    """Estimate what the training took, and say on what the estimate stands."""
    seconds = known.training.get("seconds")
    if not seconds:
        return ""
    kwh = seconds * assumed.watts / _JOULES
    grams, price = _short(kwh * assumed.grams_per_kwh), _short(kwh * assumed.price_per_kwh)
    return (
        f"Training steps took {seconds:,.0f} measured seconds. Assumed are {assumed.watts:g} W for the machine, "
        f"{assumed.grams_per_kwh:g} g of carbon dioxide and a price of {assumed.price_per_kwh:g} for a kilowatt-hour: "
        f"an estimate of {_short(kwh)} kWh, {grams} g, and a price of {price}. "
        "The making of the corpus, measurements, and runs before this one are not in it."
    )


def _origin(known: Known) -> str:
    names = ("corpus", "tokenizer", "shards", "parent", "code")
    rows: dict[str, Any] = {name: f"`{known.provenance[name]}`" for name in names if known.provenance.get(name)}
    rows |= {f"version of {name}": value for name, value in (known.provenance.get("versions") or {}).items()}
    return Table.of(rows, ("made from", "fingerprint")).markdown() if rows else ""


def _most(counts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return names with their counts of documents, the most frequent first."""
    return sorted(((name, _count(value)) for name, value in counts.items()), key=lambda pair: (-pair[1], pair[0]))


def _count(value: Any) -> int:
    """Return a number of documents, which some reports keep with the bytes, or under what was kept."""
    while isinstance(value, Mapping):
        value = value.get("kept", value.get("documents", 0))
    return int(value)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
