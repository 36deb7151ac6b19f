"""lm-evaluation-harness gives our models the scores that our own tasks give them, and its own backend too."""

from __future__ import annotations

import json
import math
import os
import tomllib
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from textus.checkpoint.checkpoint import write_model
from textus.config import replace
from textus.corpus.document import Document
from textus.errors import ConfigError
from textus.evaluation.documents import frame
from textus.evaluation.perplexity import evaluate
from textus.evaluation.pseudo import likelihood
from textus.evaluation.tasks.measure import measure_task
from textus.evaluation.tasks.task import open_task
from textus.model.transformer import Transformer

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra eval)")
    pytest.importorskip("transformers")
    import lm_eval
    from lm_eval.api.instance import Instance
    from lm_eval.api.registry import get_model
    from lm_eval.tasks import TaskManager

    from textus.evaluation.harness import TextusLM

WORDS = ["fox", "dog", "lazy fox", "brown dog jumps", "the", "over"]
CHOICE = [
    {"question": f"the quick {WORDS[n % 5]} {n}", "choices": [WORDS[n % 3], WORDS[3 + n % 3], "jumps"], "gold": n % 3}
    for n in range(12)
]
TEXTS = [{"page": "the quick brown fox jumps over the lazy dog. " * 4}, {"page": "It's a dog\nand  a fox."}]
PROMPTS = [{"context": f"the {word}", "answer": str(number)} for number, word in enumerate(WORDS)]
YAML = {
    "own_choice": """
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: gold
doc_to_choice: choices
metric_list: [{metric: acc}, {metric: acc_bytes}]
""",
    "own_pairs": """
output_type: multiple_choice
doc_to_text: ""
doc_to_target: 0
target_delimiter: ""
doc_to_choice: "{{[good, bad]}}"
metric_list: [{metric: acc}]
""",
    "own_last": """
output_type: loglikelihood
doc_to_text: "{{text.split(' ')[:-1]|join(' ')}}"
doc_to_target: "{{' '+text.split(' ')[-1]}}"
metric_list: [{metric: acc}, {metric: perplexity}]
""",
    "own_texts": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: page
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
""",
    "own_answers": """
output_type: generate_until
doc_to_text: context
doc_to_target: answer
generation_kwargs: {until: ["."], max_gen_toks: 6, do_sample: false}
metric_list: [{metric: exact_match}]
""",
}
LINES: dict[str, list[dict[str, Any]]] = {
    "own_choice": CHOICE,
    "own_pairs": [{"good": f"the {one} fox", "bad": f"fox the {one}"} for one in WORDS],
    "own_last": [{"text": f"the quick {one} {other}"} for one in WORDS[:2] for other in WORDS[:2]],
    "own_texts": TEXTS,
    "own_answers": PROMPTS,
}
OURS = {  # how the same lines are asked by us
    "own_choice": {"prompt": "Question: {question}\nAnswer:", "kind": "choice"},
    "own_texts": {},
    "own_pairs": {},
    "own_last": {},
}


@pytest.fixture(autouse=True)
def others_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def network(model: Transformer, wide: Callable[..., Transformer]) -> Transformer:
    return wide(replace(model.config, {"context_length": 64, "num_layers": 1}), seed=3)


@pytest.fixture(scope="module")
def directory(network: Transformer, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("checkpoint")
    write_model(place, network, tokenizer, {})
    return place


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tasks as lm-evaluation-harness describes them, and their lines."""
    folder = tmp_path_factory.mktemp("tasks")
    for name, lines in LINES.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
        (folder / f"{name}.yaml").write_text(
            f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder}/{name}.jsonl}}}}\n"
            f"test_split: test\n{YAML[name].strip()}\n"
        )
    return folder


@pytest.fixture(scope="module")
def measured(directory: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What lm-evaluation-harness says of the model, by us and by its own backend."""
    os.environ["HF_DATASETS_CACHE"] = str(tmp_path_factory.mktemp("cache"))

    def asked(model: str, tasks: list[str], **more: Any) -> dict[str, Any]:
        options = {"pretrained": str(directory), "device": "cpu", "batch_size": 4, **more}
        found = lm_eval.evaluate(
            lm=get_model(model).create_from_arg_obj(options),
            task_dict=TaskManager(include_path=str(sets), include_defaults=False).load(tasks),
            bootstrap_iters=0,
        )
        return {kind: found[kind] for kind in ("results", "samples")}

    others = [name for name in YAML if name != "own_texts"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = asked("hf", others, dtype="float32")
        # its backend puts END before a text itself, and asks it too where the tokenizer puts one there as well
        texts = asked("hf", ["own_texts"], dtype="float32", add_bos_token=False)
        return {
            "textus": asked("textus", list(YAML)),
            "hf": {kind: {**theirs[kind], **texts[kind]} for kind in theirs},
        }


@pytest.mark.parametrize("name", YAML)
def test_both_backends_agree(measured: dict[str, dict[str, Any]], name: str) -> None:
    ours, theirs = ({k: v for k, v in measured[one]["results"][name].items() if "stderr" not in k} for one in measured)
    assert ours.keys() == theirs.keys() and len(ours) > 1
    for key, value in theirs.items():
        assert ours[key] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)
    told = [
        [sample["resps"] for sample in sorted(measured[one]["samples"][name], key=lambda one: one["doc_id"])]
        for one in measured
    ]
    flat = [[answer for item in one for group in item for answer in group] for one in told]
    for mine, other in zip(*flat, strict=True):
        if isinstance(mine, tuple):
            assert mine[0] == pytest.approx(other[0], rel=1e-4, abs=1e-3) and mine[1] == other[1]
        else:
            assert mine == (pytest.approx(other, rel=1e-4) if isinstance(other, float) else other)


@pytest.mark.parametrize("name", OURS)
def test_our_own_tasks_give_the_same_scores(
    measured: dict[str, dict[str, Any]], network: Any, tokenizer: Any, sets: Path, name: str
) -> None:
    theirs = measured["textus"]["results"][name]
    lines = (sets / f"{name}.jsonl").read_text()
    path = sets / f"ours_{name}.jsonl"
    path.write_text((json.dumps({"task": OURS[name]}) + "\n" if OURS[name] else "") + lines)
    found = {score.name: score.value for score in measure_task(network, tokenizer, open_task(path), "causal").scores}
    names = {"acc": "accuracy", "acc_bytes": "accuracy_per_byte"}
    compared = 0
    for key, value in theirs.items():
        metric, _, rest = key.partition(",")
        if rest == "none" and not metric.endswith("_stderr"):
            assert found[names.get(metric, metric)] == pytest.approx(value, rel=1e-6), metric
            compared += 1
    assert compared


def test_rolling_is_what_evaluate_measures_but_for_the_end(network: Any, tokenizer: Any, directory: Path) -> None:
    """`evaluate` asks for the END that closes a document too; the texts fit the context, where windows are the same."""
    texts = ["the quick brown fox", "It's a dog\nand a fox.", "over"]
    opened = TextusLM(str(directory))
    rolling = opened.loglikelihood_rolling([_request("loglikelihood_rolling", (text,), 0) for text in texts])
    for text, total in zip(texts, rolling, strict=True):
        found = evaluate(network, tokenizer, [frame(tokenizer, Document(text, ""))], data="", stride=32)
        tokens = torch.tensor([[tokenizer.end, *tokenizer.encode(text)]])
        closing = network(tokens).logits[0, -1].log_softmax(-1)[tokenizer.end].item()
        assert total == pytest.approx(-found.units.nats.sum() - closing, rel=1e-5)
        assert total == pytest.approx(likelihood(network, tokenizer, text, "causal").total, rel=1e-5)


def _request(kind: str, arguments: tuple[Any, ...], number: int) -> Any:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0, metadata=("task", number, 1))


def test_texts_that_do_not_fit_lose_their_start_and_that_is_said(
    directory: Path, network: Any, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    opened = TextusLM(str(directory))
    ((logprob, _),) = opened.loglikelihood([_request("loglikelihood", ("x" * 100, " fox"), 0)])
    assert "1 texts lose their start" in caplog.text
    tokens = torch.tensor(tokenizer.encode("x" * 100 + " fox"))[-65:]
    asked = len(tokenizer.encode(" fox"))
    likely = network(tokens[None, :-1]).logits[0].log_softmax(-1)
    wanted = sum(likely[place - 1, tokens[place]].item() for place in range(len(tokens) - asked, len(tokens)))
    assert logprob == pytest.approx(wanted, rel=1e-4)


def test_answers_may_be_drawn_and_must_fit(directory: Path) -> None:
    opened = TextusLM(str(directory))
    drawn = {"do_sample": True, "temperature": 1.5, "max_gen_toks": 8, "until": "."}
    requests = [_request("generate_until", ("the quick", drawn), number) for number in range(2)]
    first, second = opened.generate_until(requests), opened.generate_until(requests)
    assert first == second and first[0] != first[1]
    with pytest.raises(ConfigError, match="64 tokens are to be written"):
        opened.generate_until([_request("generate_until", ("the", {"max_gen_toks": 64}), 0)])


def test_a_model_that_reads_both_ways_is_asked_so(model: Transformer, tokenizer: Any, tmp_path: Path) -> None:
    shape = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}
    encoder = Transformer(type(model.config)(**{**vars(model.config), **shape, "context_length": 40}), seed=1).eval()
    write_model(tmp_path, encoder, tokenizer, {})
    requests = [_request("loglikelihood", ("", "the lazy foxes"), 0)]
    for scoring, method in (("auto", "word-l2r"), ("original", "original")):
        opened = TextusLM(str(tmp_path), scoring=scoring)  # type: ignore[arg-type]
        ((logprob, _),) = opened.loglikelihood(requests)
        wanted = likelihood(encoder, tokenizer, "the lazy foxes", method)  # type: ignore[arg-type]
        assert logprob == pytest.approx(wanted.total, rel=1e-4) and math.isfinite(logprob)


def test_lm_eval_knows_our_models_beside_its_own() -> None:
    import textus.evaluation.lm_eval as command_line

    assert get_model("textus") is TextusLM is command_line.KNOWN
    assert get_model("hf") is not TextusLM


def test_the_entry_point_leads_to_the_model() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    point = EntryPoint("textus", project["entry-points"]["lm_eval.models"]["textus"], "lm_eval.models")
    assert point.load() is TextusLM
