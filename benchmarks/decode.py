"""How fast a model writes: our engine beside `transformers.generate` in one process, on random weights of one shape.

    python benchmarks/decode.py [--shape 31M] [--threads 1] [--batches 1 8 64] [--new 48] [--prompt 64] [--toy]
    python benchmarks/decode.py --device cuda --shape 124M --batches 1 64 256 --new 256
    python benchmarks/decode.py --llama MODEL.gguf

Both sample with the same temperature, top-k and top-p, from the same weights and prompts. On a CPU the seconds are CPU
seconds of the process, on a GPU wall time. Of the steps that write a token the median is reported, and the fastest
tenth, since on a machine that others use the median says as much of them.
`bandwidth_share` is what the weights alone, read once a step, make of the measured speed of reading memory.
`sampling` is what all processors together cost beside a step of the engine, at a vocabulary of 50,000.
`fixed_batch` is the price of a text that does not depend on its neighbours.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers, trainers

from textus.checkpoint.checkpoint import write_model
from textus.decoding.bans import BadWords, LogitBias, MinLength
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.engine.quantize import quantize
from textus.decoding.engine.threads import choose_threads
from textus.decoding.history import History
from textus.decoding.penalties import Dry, FrequencyPenalty, NoRepeatNgram, PresencePenalty, RepetitionPenalty
from textus.decoding.processors import Epsilon, Eta, MinP, Temperature, TopK, TopNSigma, TopP, Typical
from textus.decoding.sampler import Places
from textus.decoding.step import Telling, draw
from textus.decoding.strategy import Sample
from textus.decoding.writer import Ending
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained

SHAPES = {
    "toy": {"num_layers": 2, "hidden_size": 64, "num_heads": 4, "num_kv_heads": 2, "intermediate_size": 128},
    "31M": {"num_layers": 8, "hidden_size": 512, "num_heads": 8, "num_kv_heads": 4, "intermediate_size": 1408},
    "124M": {"num_layers": 12, "hidden_size": 768, "num_heads": 12, "num_kv_heads": 12, "intermediate_size": 2048},
    "1B": {"num_layers": 16, "hidden_size": 2048, "num_heads": 16, "num_kv_heads": 8, "intermediate_size": 8192},
}
VOCABULARY = {"toy": 2048, "31M": 16384, "124M": 50304, "1B": 65536}
PLAIN = Sample(Temperature(0.8), TopK(50), TopP(0.95))
EVERY = Sample(
    *(LogitBias((5, 9), (1.0, -1.0)), RepetitionPenalty(1.1), FrequencyPenalty(0.1), PresencePenalty(0.1)),
    *(Dry(0.8), NoRepeatNgram(4), BadWords(((7,), (8, 9))), MinLength(2, (0,)), Temperature(0.8)),
    *(TopNSigma(3.0), TopK(50), TopP(0.95), MinP(0.02), Typical(0.95), Epsilon(3e-4), Eta(3e-4)),
)
"""All processors together."""


def main() -> None:
    options = arguments()
    shape = "toy" if options.toy else options.shape
    if options.toy:
        options.new, options.prompt, options.batches = 4, 8, [1, 2]
    config = ModelConfig(
        vocab_size=VOCABULARY[shape],
        context_length=1024,
        head_size=SHAPES[shape]["hidden_size"] // SHAPES[shape]["num_heads"],
        **SHAPES[shape],
    )
    on_gpu = options.device != "cpu"
    model = Transformer(config, seed=1).to(options.device, torch.bfloat16 if on_gpu else torch.float32).eval()
    tokenizer = filled(config.vocab_size)
    if options.threads:
        torch.set_num_threads(options.threads)
    elif not on_gpu:
        choose_threads(lambda: model(torch.zeros(1, 1, dtype=torch.int64)), torch.get_num_threads())
    clock = time.process_time if not on_gpu else time.perf_counter
    found: dict[str, dict[str, float]] = {}

    def keep(name: str, value: dict[str, float]) -> None:
        found[name] = value
        print(name, value, file=sys.stderr, flush=True)

    small = model if on_gpu else quantize(model)
    for batch in options.batches:
        keep(f"ours_{batch}", ours(model, tokenizer, batch, options, clock))
        keep(f"ours_{batch}_fixed", ours(model, tokenizer, batch, options, clock, fixed=8))
        if not on_gpu:
            keep(f"ours_{batch}_int8", ours(small, tokenizer, batch, options, clock))
    if importlib.util.find_spec("transformers") and not options.alone:
        with tempfile.TemporaryDirectory() as name:
            write_model(Path(name), model, tokenizer, {})
            theirs = opened_by_transformers(Path(name), options.device, model.embedding.weight.dtype)
        for batch in options.batches:
            keep(f"transformers_{batch}", transformers(theirs, batch, options, clock))
    if options.llama:
        keep("llama_cpp_1", llama_cpp(options, clock))
    weights = config.num_matmul_parameters() * model.embedding.weight.itemsize
    speed = read_speed(options.device)
    print(
        json.dumps(
            {
                "benchmark": "decode",
                "shape": shape,
                "parameters": config.num_parameters(),
                "device": torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "new": options.new,
                "prompt": options.prompt,
                "tokens_per_second": found,
                "bandwidth_share": round(
                    found[f"ours_{options.batches[0]}"]["fastest_tenth"] / options.batches[0] * weights / speed, 3
                ),
                "read_gb_per_second": round(speed / 1e9, 1),
                "sampling": sampling_cost(model, options, clock),
            }
        )
    )


def arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser()
    made.add_argument("--shape", choices=list(SHAPES), default="31M")
    made.add_argument("--device", default="cpu")
    made.add_argument("--threads", type=int, default=1, help="0: a short measurement")
    made.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    made.add_argument("--new", type=int, default=48)
    made.add_argument("--prompt", type=int, default=64)
    made.add_argument("--repeats", type=int, default=2, help="texts that are timed, behind one that is not")
    made.add_argument("--alone", action="store_true", help="without transformers")
    made.add_argument("--toy", action="store_true", help="a shape that shows only that this runs")
    made.add_argument("--llama", metavar="GGUF", help="llama-cpp-python on this file, beside")
    return made.parse_args()


def filled(size: int) -> Tokenizer:
    """Return a tokenizer of so many tokens; nobody reads what is written with it."""
    engine = untrained()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False)
    engine.train_from_iterator(["a b"], trainer)
    engine.add_tokens([f"<{number}>" for number in range(size - engine.get_vocab_size())])
    return finish(engine)


def prompts(batch: int, options: argparse.Namespace, vocab: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(300, vocab, (batch, options.prompt), generator=generator).tolist()


def speeds(batch: int, steps: Sequence[float]) -> dict[str, float]:
    """Return tokens a second by the time between steps."""
    ordered = sorted(steps)
    tenth = ordered[: max(1, len(ordered) // 10)]
    return {
        "median": round(batch / statistics.median(ordered), 1),
        "fastest_tenth": round(batch / statistics.mean(tenth), 1),
    }


def ours(
    model: Transformer,
    tokenizer: Tokenizer,
    batch: int,
    options: argparse.Namespace,
    clock: Callable[[], float],
    fixed: Any = "off",
) -> dict[str, float]:
    length = batch * (options.prompt + options.new + 16)
    engine = Engine(model, tokenizer, EngineConfig(batch_size=batch, cache_tokens=length, fixed_batch=fixed))
    steps = []
    for seed in range(1 + options.repeats):
        # new prompts each time, lest the cache knows them
        texts = [[(token + seed) % 1000 + 300 for token in one] for one in prompts(batch, options, 1000)]
        ending = Ending(options.new)
        handles = [engine.submit(text, PLAIN, ending, seed=seed, row=row) for row, text in enumerate(texts)]
        while not all(handle.pieces for handle in handles):
            engine.step()
        going = True
        while going:
            began = clock()
            going = engine.step()
            if seed and all(not handle.is_over for handle in handles):
                steps.append(clock() - began)
    return speeds(batch, steps)


def opened_by_transformers(directory: Path, device: str, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).to(device).eval()


def asked_of_transformers(new: int) -> dict[str, Any]:
    """Return what its `generate` is asked for: so many tokens, drawn as `PLAIN` says."""
    sampling = {"do_sample": True, "temperature": 0.8, "top_k": 50, "top_p": 0.95}
    return {**sampling, "max_new_tokens": new, "min_new_tokens": new, "pad_token_id": 0}


def transformers(model: Any, batch: int, options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, float]:
    from transformers import StoppingCriteria, StoppingCriteriaList

    tokens = torch.tensor(prompts(batch, options, 1000), device=options.device)
    times: list[float] = []

    class Clock(StoppingCriteria):
        def __call__(self, input_ids: torch.Tensor, scores: Any, **others: Any) -> torch.Tensor:
            if options.device != "cpu":
                torch.cuda.synchronize()
            times.append(clock())
            return torch.zeros(batch, dtype=torch.bool, device=options.device)

    steps = []
    for run in range(1 + options.repeats):
        times.clear()
        with torch.inference_mode():
            model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                **asked_of_transformers(options.new),
                stopping_criteria=StoppingCriteriaList([Clock()]),
            )
        steps += [later - sooner for sooner, later in itertools.pairwise(times)] if run else []
    return speeds(batch, steps)


def llama_cpp(options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, float]:
    from llama_cpp import Llama

    model = Llama(options.llama, n_ctx=1024, n_threads=torch.get_num_threads(), verbose=False)
    prompt = prompts(1, options, 1000)[0]
    steps = []
    for run in range(1 + options.repeats):
        made = model.generate(prompt, top_k=50, top_p=0.95, temp=0.8)
        times = [clock() for _, _ in zip(range(options.new), made, strict=False)]
        steps += [later - sooner for sooner, later in itertools.pairwise(times)] if run else []
    return speeds(1, steps)


def sampling_cost(model: Transformer, options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, float]:
    """Milliseconds of all processors together, at a vocabulary of 50,000, and of the step of the engine beside it."""
    batch, vocab, time_ = max(options.batches), 2000 if options.toy else 50_000, options.prompt + options.new
    generator = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn(batch, vocab, generator=generator)).to(options.device)
    said = torch.randint(0, vocab, (batch, time_), generator=generator).to(options.device)
    history = History(said, torch.full((batch,), options.new, device=options.device))
    places = Places.of(1, list(range(batch)), 3, options.device)
    states = torch.randn(batch, model.config.hidden_size, device=options.device, dtype=model.embedding.weight.dtype)
    head = torch.randn(vocab, model.config.hidden_size, device=options.device, dtype=states.dtype)

    def seconds(work: Callable[[], object]) -> float:
        work()
        times = []
        for _ in range(5):
            began = clock()
            work()
            if options.device != "cpu":
                torch.cuda.synchronize()
            times.append(clock() - began)
        return min(times)

    with torch.inference_mode():
        tokens = torch.zeros(batch, 1, dtype=torch.int64, device=options.device)
        network = seconds(lambda: (model.encode(tokens), states @ head.T))
        default = seconds(lambda: draw(PLAIN, logits, history, places, Telling()))
        all_of_them = seconds(lambda: draw(EVERY, logits, history, places, Telling()))
    return {
        "network_ms": round(1000 * network, 2),
        "default_ms": round(1000 * default, 2),
        "all_ms": round(1000 * all_of_them, 2),
        "all_share": round(all_of_them / (all_of_them + network), 3),
    }


def read_speed(device: str) -> float:
    """Bytes a second, of one pass over memory that no cache holds."""
    memory = torch.ones(2**28 if device != "cpu" else 2**26, device=device)
    times = []
    for _ in range(12):
        began = time.perf_counter()
        memory.sum().item()
        times.append(time.perf_counter() - began)
    return memory.numel() * 4 / min(times)


if __name__ == "__main__":
    main()
