"""The formats of public sets, each as a way to write one of its lines in our schema.

Prompts and answers are those that lm-evaluation-harness and llm-foundry give the same sets, so that figures agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textus.evaluation.tasks.config import TaskConfig
from textus.evaluation.tasks.item import Record

_NUMBER = r"(-?[0-9][0-9,]*(?:\.[0-9]+)?)"
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Format:
    """How lines of a public set are known, what they are in our schema, and how they are asked."""

    name: str
    fits: Callable[[Record], bool]
    convert: Callable[[Record], Record]
    """Raises `KeyError`, `TypeError` or `ValueError` where a line is not as the format says."""
    config: TaskConfig


def recognised(record: Record) -> Format | None:
    """Return the format that a set's first line has."""
    return next((one for one in FORMATS if one.fits(record)), None)


def _has(*keys: str) -> Callable[[Record], bool]:
    return lambda record: all(key in record for key in keys)


def _same(record: Record) -> Record:
    return record


def _blimp(record: Record) -> Record:
    return {"good": record["sentence_good"], "bad": record["sentence_bad"], "group": record.get("UID", "")}


def _hellaswag(record: Record) -> Record:
    context = record["ctx"] if "ctx" in record else f"{record['ctx_a']} {record['ctx_b']}"
    if "ctx_a" in record and "ctx_b" in record:
        context = f"{record['ctx_a']} {str(record['ctx_b']).capitalize()}"
    topic = f"{record['activity_label']}: " if record.get("activity_label") else ""
    return {
        "context": _without_marks(topic + context),
        "choices": [_without_marks(ending) for ending in record["endings"]],
        "gold": int(record["label"]),
    }


def _without_marks(text: str) -> str:
    """Take out the marks that WikiHow left in HellaSwag, as everybody does.

    >>> _without_marks("Wash it. [title] Dry it. [step] Use a towel.")
    'Wash it.. Dry it. Use a towel.'
    """
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def _arc(record: Record) -> Record:
    question = record["question_stem"] if "question_stem" in record else record["question"]
    choices = record["choices"] if "choices" in record else question["choices"]
    if isinstance(question, dict):
        question = question["stem"]
    if isinstance(choices, dict):
        texts, labels = list(choices["text"]), list(choices["label"])
    else:
        texts, labels = [one["text"] for one in choices], [one["label"] for one in choices]
    return {"context": question, "choices": texts, "gold": labels.index(record["answerKey"])}


def _piqa(record: Record) -> Record:
    return {"context": record["goal"], "choices": [record["sol1"], record["sol2"]], "gold": record["label"]}


def _winogrande(record: Record) -> Record:
    before, found, after = record["sentence"].partition("_")
    if not found:
        raise ValueError("no `_` in `sentence`")
    return {
        "contexts": [before + record["option1"], before + record["option2"]],
        "continuation": after.strip(),
        "gold": int(record["answer"]) - 1,
    }


def _copa(record: Record) -> Record:
    word = {"cause": "because", "effect": "therefore"}[record["question"]]
    premise = record["premise"].strip().rstrip(".")
    choices = [record[key][:1].lower() + record[key][1:] for key in ("choice1", "choice2")]
    return {"context": f"{premise} {word}", "choices": choices, "gold": record["label"]}


def _boolq(record: Record) -> Record:
    context = f"{record['passage']}\nQuestion: {record['question']}?\nAnswer:"
    return {"context": context, "choices": ["no", "yes"], "gold": int(bool(record["answer"]))}


def _mmlu(record: Record) -> Record:
    choices = list(record["choices"])
    letters = list(_LETTERS[: len(choices)])
    shown = "".join(f"{letter}. {choice}\n" for letter, choice in zip(letters, choices, strict=True))
    return {
        "context": f"{record['question'].strip()}\n{shown}Answer:",
        "choices": letters,
        "gold": record["answer"],
        "group": record.get("subject", ""),
    }


def _gsm8k(record: Record) -> Record:
    worked = record["answer"]
    before, found, answer = worked.rpartition("####")
    if not found:
        raise ValueError("no `####` before the result in `answer`")
    return {
        "context": record["question"],
        "answer": answer.strip(),
        "worked": f"{before.strip()}\n#### {answer.strip()}",
    }


def _worked(record: Record) -> Record:
    answer = str(record["answer"])
    return {"context": record["context"], "answer": answer, "worked": f"{record['chain_of_thought']}\n#### {answer}"}


def _query(record: Record) -> Record:
    context = record["query"].rstrip()
    if re.search(r"(^|\n)Question:", context) and not context.endswith("Answer:"):
        context += "\nAnswer:"
    return {"context": context, "choices": record["choices"], "gold": record["gold"]}


def _beginnings(record: Record) -> Record:
    return {"contexts": record["context_options"], "continuation": record["continuation"], "gold": record["gold"]}


def _continued(record: Record) -> Record:
    context = record["context"]
    attached = context.endswith("=") or context[-1:].isspace()
    return {"context": context, "target": record["continuation"], "separator": "" if attached else " "}


def _entities(record: Record) -> Record:
    # the right answer is always the first
    return {
        "context": record["input_prefix"].rstrip(),
        "choices": record["options"],
        "gold": 0,
        "group": f"{record['numops']} operations" if "numops" in record else "",
    }


def _lambada(record: Record) -> Record:
    context, found, target = record["text"].strip().rpartition(" ")
    if not found:
        raise ValueError("`text` has one word only")
    return {"context": context, "target": target}


def _is_arc(record: Record) -> bool:
    question = record.get("question")
    nested = isinstance(question, dict) and "choices" in question
    return "answerKey" in record and (nested or "choices" in record)


def _is_gsm8k(record: Record) -> bool:
    return "question" in record and isinstance(record.get("answer"), str) and "####" in record["answer"]


def _is_lambada(record: Record) -> bool:
    return "text" in record and not set(record) - {"text", "id", "domain", "license", "language"}


_QUESTION = TaskConfig(kind="choice", prompt="Question: {context}\nAnswer:")
_CHOICE, _CLOZE = TaskConfig(kind="choice"), TaskConfig(kind="cloze")
_PROBLEM = TaskConfig(
    kind="generation",
    prompt="Question: {context}\nAnswer:",
    until=("Question:", "\n\n"),
    max_tokens=256,
    pattern=rf"####\s*\$?{_NUMBER}",
    ignore=(",", r"\.0*$"),
)
FORMATS: tuple[Format, ...] = (
    Format("ours", _has("good", "bad"), _same, TaskConfig(kind="pairs")),
    Format("ours", _has("contexts", "continuation", "gold"), _same, _CHOICE),
    Format("ours", _has("context", "choices", "gold"), _same, _CHOICE),
    Format("ours", _has("context", "target"), _same, _CLOZE),
    Format("BLiMP", _has("sentence_good", "sentence_bad"), _blimp, TaskConfig(kind="pairs")),
    Format("HellaSwag", _has("endings", "label"), _hellaswag, _CHOICE),
    Format("ARC", _is_arc, _arc, _QUESTION),
    Format("PIQA", _has("goal", "sol1", "sol2", "label"), _piqa, _QUESTION),
    Format("WinoGrande", _has("sentence", "option1", "option2", "answer"), _winogrande, _CHOICE),
    Format("COPA", _has("premise", "choice1", "choice2", "question", "label"), _copa, _CHOICE),
    Format("BoolQ", _has("passage", "question", "answer"), _boolq, _CHOICE),
    Format("MMLU", _has("question", "choices", "answer"), _mmlu, _CHOICE),
    Format("GSM8K", _is_gsm8k, _gsm8k, _PROBLEM),
    Format("worked problems", _has("context", "chain_of_thought", "answer"), _worked, _PROBLEM),
    Format("query and choices", _has("query", "choices", "gold"), _query, _CHOICE),
    Format("beginnings", _has("context_options", "continuation", "gold"), _beginnings, _CHOICE),
    Format("context and continuation", _has("context", "continuation"), _continued, _CLOZE),
    Format(
        "entity tracking",
        _has("input_prefix", "options"),
        _entities,
        TaskConfig(kind="choice", same_answers=True),
    ),
    Format("ours", _has("context", "answer"), _same, TaskConfig(kind="generation")),
    Format("LAMBADA", _is_lambada, _lambada, _CLOZE),
    Format("WikiText", _has("page"), lambda record: {"text": record["page"]}, TaskConfig(kind="text")),
)
"""In the order in which they are tried."""


def converted(form: Format, record: Record) -> Record | str:
    """Return a line in our schema, or in words what keeps it from being one of its format."""
    try:
        return form.convert(record)
    except KeyError as error:
        return f"no `{error.args[0]}`, which a line of {form.name} has"
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        return f"not as a line of {form.name} is: {error}"


def ours(kind: Any) -> Format:
    """Return our own schema, for a description that names the kind."""
    return Format("ours", lambda _: True, _same, TaskConfig(kind=kind))
