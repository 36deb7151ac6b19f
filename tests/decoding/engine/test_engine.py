import threading
from collections.abc import Iterator
from functools import cache
from itertools import count

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.bans import BadWords
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.engine.scheduler import Scheduler
from textus.decoding.history import History
from textus.decoding.penalties import Dry, FrequencyPenalty, RepetitionPenalty
from textus.decoding.processors import Temperature, TopK, TopP
from textus.decoding.sampler import Places
from textus.decoding.step import Telling
from textus.decoding.strategy import Greedy, Sample
from textus.decoding.writer import Ending
from textus.errors import ConfigError

LONGEST = 24
STRATEGIES = [
    Greedy(),
    Sample(Temperature(0.9), TopK(60), TopP(0.95)),
    Sample(RepetitionPenalty(1.2), FrequencyPenalty(0.3), Dry(0.5)),
]
WAYS = ["cpu", "gpu"]


@pytest.fixture(scope="module")
def alone(model, tokenizer):
    """Each text as it is when it is written by itself, everything read again for every token."""

    @cache
    @torch.no_grad()
    def write(prompt, strategy, seed):
        tokens, begin, context = list(prompt), 0, model.config.context_length
        for position in range(LONGEST):
            if len(tokens) - begin > context:
                begin = len(tokens) - context // 2
            logits = model(torch.tensor([tokens[begin:]])).logits[:, -1]
            history = History.of([tokens[1:]], written=[position])
            (token,) = STRATEGIES[strategy].choose(logits, history, Places.of(seed, [0], position)).tolist()
            tokens.append(token)
            if token == tokenizer.end:
                break
        return tokens[len(prompt) :]

    return write


@pytest.fixture(scope="module")
def prompts(tokenizer):
    texts = ["", "the", "the quick", "the quick brown fo", "the quick brown do"]
    return [(tokenizer.end, *tokenizer.encode(text)[:15]) for text in texts]


def submit(engine, prompt, strategy=0, seed=0, max_tokens=LONGEST, **options):
    return engine.submit(prompt, STRATEGIES[strategy], Ending(max_tokens), seed=seed, **options)


def tokens_of(handle):
    return [piece.token for piece in handle]


JOBS = st.tuples(
    st.integers(0, 4),  # which prompt
    st.integers(0, 2),  # which strategy
    st.integers(0, 1),  # seed
    st.integers(1, LONGEST),  # how many tokens
    st.integers(0, 12),  # in which step it comes
    st.one_of(st.none(), st.integers(1, 30)),  # in which step it is cancelled
)
CONFIGS = st.builds(
    lambda batch, blocks, size, chunk, fixed: EngineConfig(
        batch_size=batch, cache_tokens=blocks * size, block_size=size, chunk_tokens=chunk, fixed_batch=fixed
    ),
    st.integers(1, 6),
    st.integers(1, 12),
    st.just(4),
    st.integers(4, 20),
    st.sampled_from(["off", 2, 4]),
)


@given(jobs=st.lists(JOBS, min_size=1, max_size=8), config=CONFIGS, way=st.sampled_from(WAYS))
@settings(max_examples=12)
def test_texts_that_come_and_go_change_no_other_and_leave_nothing_behind(
    model, tokenizer, alone, prompts, jobs, config, way
):
    engine = Engine(model, tokenizer, config, way)
    handles, written = {}, {}
    for step in count():
        for number, (prompt, strategy, seed, most, comes, _) in enumerate(jobs):
            if comes == step:
                handles[number] = submit(engine, prompts[prompt], strategy, seed, most)
        for number, handle in handles.items():
            if jobs[number][5] == step:
                handle.cancel()
        engine.step()
        for number, handle in handles.items():
            written.setdefault(number, []).extend(piece.token for piece in handle.pieces)
            handle.pieces.clear()
        usage = engine.usage
        assert usage.running <= config.batch_size
        assert usage.blocks_in_use <= usage.blocks
        if len(handles) == len(jobs) and all(handle.is_over for handle in handles.values()):
            break
        assert step < 1000, "a text waits for ever"
    for number, (prompt, strategy, seed, most, _, cancelled) in enumerate(jobs):
        wanted = alone(prompts[prompt], strategy, seed)[:most]
        if cancelled is None or len(written[number]) == len(wanted):
            assert written[number] == wanted
        else:
            assert written[number] == wanted[: len(written[number])]
    while engine.step():
        pass
    usage = engine.usage
    assert (usage.waiting, usage.running, usage.blocks_in_use) == (0, 0, 0)


@pytest.mark.parametrize("way", WAYS)
def test_where_blocks_run_out_the_last_comer_is_read_again(model, tokenizer, alone, prompts, way, monkeypatch):
    again = []
    preempt = Scheduler._preempt
    monkeypatch.setattr(Scheduler, "_preempt", lambda self, one: (again.append(one.number), preempt(self, one)))
    engine = Engine(model, tokenizer, EngineConfig(batch_size=4, cache_tokens=24, block_size=4), way)
    handles = [submit(engine, prompts[2], 1, seed) for seed in range(4)]
    assert [tokens_of(handle) for handle in handles] == [alone(prompts[2], 1, seed) for seed in range(4)]
    assert again and 1 not in again, "the first text was interrupted"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fixed", ["off", 4])
def test_a_common_beginning_is_read_once(model, tokenizer, alone, prompts, way, fixed):
    engine = Engine(model, tokenizer, EngineConfig(block_size=4, fixed_batch=fixed), way)
    handles = [submit(engine, prompts[4], 1, seed) for seed in range(3)]
    assert [tokens_of(handle) for handle in handles] == [alone(prompts[4], 1, seed) for seed in range(3)]
    whole = (len(prompts[4]) - 1) // 4 * 4
    assert engine.usage.tokens_shared == 2 * whole
    submit(engine, prompts[4], salt="somebody else").cancel()
    list(submit(engine, prompts[4], salt="somebody else", max_tokens=1))
    assert engine.usage.tokens_shared == 2 * whole
    list(submit(engine, prompts[4], max_tokens=1))
    assert engine.usage.tokens_shared == 3 * whole


@pytest.mark.parametrize("way", WAYS)
def test_whoever_stops_reading_frees_the_blocks_at_once(model, tokenizer, prompts, way):
    engine = Engine(model, tokenizer, EngineConfig(block_size=4), way)
    pieces = iter(submit(engine, prompts[2]))
    next(pieces)
    assert engine.usage.blocks_in_use
    pieces.close()
    assert engine.usage.blocks_in_use == 0
    waiting = submit(engine, prompts[2])
    waiting.cancel()
    waiting.cancel()
    assert list(waiting) == []
    assert not engine.step()


def test_a_long_prompt_is_read_beside_the_texts_that_write(model, tokenizer, alone, prompts):
    engine = Engine(model, tokenizer, EngineConfig(block_size=4, chunk_tokens=4))
    first = submit(engine, prompts[1])
    engine.step()
    second = submit(engine, prompts[4])
    steps = 0
    while not second.pieces:
        before = len(first.pieces)
        engine.step()
        steps += 1
        assert len(first.pieces) == before + 1, "a text waited for the prompt of another"
    assert steps == -(-len(prompts[4]) // 4) > 1
    assert [piece.token for piece in first.pieces] == alone(prompts[1], 0, 0)[: len(first.pieces)]


def test_who_comes_first_is_served_first(model, tokenizer, prompts):
    engine = Engine(model, tokenizer, EngineConfig(batch_size=2, cache_tokens=24, block_size=4))
    handles = [submit(engine, prompts[number % 5], 1, number, max_tokens=9) for number in range(7)]
    began: list[int] = []
    while not all(handle.is_over for handle in handles):
        engine.step()
        began += [number for number, handle in enumerate(handles) if handle.pieces and number not in began]
    assert began == list(range(7))


@pytest.mark.parametrize("way", WAYS)
def test_a_text_that_cannot_go_on_stops_no_other(model, tokenizer, alone, prompts, way):
    class Broken(Greedy):
        def process(self, logits, history):
            raise ValueError("broken")

    nothing = Greedy(BadWords(tuple((token,) for token in range(tokenizer.vocab_size))))
    engine = Engine(model, tokenizer, EngineConfig(block_size=4), way)
    silent = engine.submit(prompts[1], nothing, Ending(5))
    broken = engine.submit(prompts[1], Broken(), Ending(5))
    fine = submit(engine, prompts[1])
    assert tokens_of(fine) == alone(prompts[1], 0, 0)
    with pytest.raises(ConfigError, match="leave no token"):
        list(silent)
    with pytest.raises(ValueError, match="broken"):
        list(broken)
    assert engine.usage.blocks_in_use == 0


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_step_is_done_again(model, tokenizer, alone, prompts, way, monkeypatch):
    engine = Engine(model, tokenizer, EngineConfig(block_size=4), way)
    handles = [submit(engine, prompts[3], 1, seed) for seed in range(2)]
    read, calls = engine._runner.logits, count()

    def interrupted(*arguments):
        found = read(*arguments)
        if next(calls) % 3 == 2:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(engine._runner, "logits", interrupted)
    interruptions = 0
    while any(not handle.is_over for handle in handles):
        try:
            engine.step()
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions > 3
    wanted = [alone(prompts[3], 1, seed) for seed in range(2)]
    assert [[piece.token for piece in handle.pieces] for handle in handles] == wanted
    assert engine.usage.blocks_in_use == 0


def test_texts_may_be_read_from_several_threads(model, tokenizer, alone, prompts):
    engine = Engine(model, tokenizer, EngineConfig(batch_size=3, block_size=4))
    found = {}

    def read(number):
        found[number] = tokens_of(submit(engine, prompts[number % 5], 1, number % 2))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: alone(prompts[number % 5], 1, number % 2) for number in range(6)}
    assert engine.usage.blocks_in_use == 0


def crowds(engine, prompts) -> Iterator[None]:
    """Other texts come and go beside one, in ever new numbers."""
    for number in count():
        for other in range(number % 4):
            submit(engine, prompts[(number + other) % 5], other % 3, number, max_tokens=1 + (number * 7 + other) % 11)
        yield


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fixed", [2, 4])
def test_with_passes_of_one_size_not_a_bit_depends_on_the_others(model, tokenizer, prompts, way, fixed):
    config = EngineConfig(batch_size=5, cache_tokens=40, block_size=4, chunk_tokens=6, fixed_batch=fixed)
    telling = Telling("raw", alternatives=5)
    for prompt in prompts[2:5:2]:
        by_itself = list(submit(Engine(model, tokenizer, config, way), prompt, 1, 7, telling=telling))
        engine = Engine(model, tokenizer, config, way)
        others = crowds(engine, prompts)
        for _ in range(5):
            next(others)
        handle = submit(engine, prompt, 1, 7, telling=telling)
        while not handle.is_over:
            next(others)
            engine.step()
        assert list(handle.pieces) == by_itself


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match="passes of 3 tokens"):
        EngineConfig(fixed_batch=3)
    with pytest.raises(ConfigError, match="batch_size"):
        EngineConfig(batch_size=0)
