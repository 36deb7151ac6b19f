import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.engine import board
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.engine.memory import Rows
from textus.decoding.engine.swift import drives
from textus.decoding.history import History
from textus.decoding.penalties import RepetitionPenalty
from textus.decoding.processors import MinP, Temperature, TopK, TopP, Typical
from textus.decoding.sampler import Places
from textus.decoding.speculative import Ngrams
from textus.decoding.step import Telling, draw
from textus.decoding.strategy import Greedy, Sample
from textus.decoding.writer import Ending
from textus.model.transformer import Transformer

DRAWN = Sample(Temperature(0.9), TopK(20), TopP(0.9), MinP(0.01))


def numbers(line):
    return np.asarray(line[board.HEAT : board.LEAST + 1], dtype=np.int32).view(np.float32).tolist()


class PlainStage:
    """What the kernels do to a board, written down a second time in plain steps of torch."""

    def __init__(self, swift, rows, each=1):
        self.swift, self.rows, self.each = swift, rows, each
        self.blocks = -(-swift.model.config.context_length // swift.memory.size)
        self.ring = torch.zeros(16, rows, 2, dtype=torch.int32)
        self.counts = torch.zeros(16, rows // each, dtype=torch.int32)

    def lines(self):
        lines = np.zeros((self.rows, board.TABLE + self.blocks), dtype=np.int32)
        lines[:, board.SOURCE], lines[:, board.TOP], lines[:, board.FLAGS] = -1, 1, board.GREEDY
        lines[:, board.HEAT] = np.float32(1).view(np.int32)
        lines[:, board.TABLE :] = self.swift.memory.spare // self.swift.memory.size
        return lines

    def begin(self, lines, newest):
        self.board = torch.from_numpy(lines.copy())
        for line in self.board:
            if line[board.SOURCE] >= 0:
                line[board.TOKEN] = newest[line[board.SOURCE]]

    def begin_to_guess(self, lines, said):
        self.begin(lines, None)
        lengths = lines[:: self.each, board.POSITION] + 1
        said = np.concatenate([said, np.zeros((self.rows // self.each - len(said), said.shape[1]), dtype=np.int32)])
        self.said = [row[:length].tolist() for row, length in zip(said, lengths, strict=True)]
        self.guess()

    def guess(self):
        """Write the last token of each text and guesses behind it into its lines."""
        for text, said in enumerate(self.said):
            guesses = Ngrams(3, self.each - 1).guess(History.of([said]), None, None, self.each - 1)
            own = self.board[text * self.each : (text + 1) * self.each]
            for place, (line, token) in enumerate(zip(own, [said[-1], *guesses, *[0] * self.each], strict=False)):
                line[board.TOKEN] = token
                line[board.POSITION] = len(said) - 1 + place
                line[board.WRITTEN] = own[0, board.WRITTEN] + place
                line[board.ROOM] = own[0, board.ROOM]

    def check(self, age, before):
        """Let the texts go on by what was drawn up to the first wrong guess."""
        for text, said in enumerate(self.said):
            rows = slice(text * self.each, (text + 1) * self.each)
            own, drawn, read = self.board[rows], self.ring[age, rows, 0].tolist(), before[rows, board.TOKEN].tolist()
            count, room = 1, int(own[0, board.ROOM])
            while count < self.each and drawn[count - 1] == read[count] and drawn[count - 1] >= 0:
                count += 1
            lost, count = drawn[count - 1] < 0 and count <= room, min(count, room)
            said += [max(token, 0) for token in drawn[:count]]
            own[:, board.ROOM] = 0 if lost else room - count
            own[0, board.WRITTEN] = before[rows][0, board.WRITTEN] + count
            self.counts[age, text] = count
        self.guess()

    def run(self, steps=1):
        for age in range(steps):
            before = self.board.clone()
            self.step()
            if self.each > 1:
                self.check(age, before)

    def step(self):
        memory, model = self.swift.memory, self.swift.model
        rows = Rows(memory, self.rows, self.blocks)
        tables, positions = self.board[:, board.TABLE :].long(), self.board[:, board.POSITION].long()
        rows._layout[:, 0], rows._layout[:, 1] = self.board[:, board.TOKEN], positions
        held = tables.gather(1, positions[:, None] // memory.size).squeeze(1)
        rows._layout[:, 2], rows._layout[:, 3:] = held * memory.size + positions % memory.size, tables
        self.logits = model.head(model.encode_at(rows.tokens, positions, rows)).float()[:, : self.swift.vocab]
        for row, line in enumerate(self.board):
            token, logprob = self.drawn(row, line.tolist())
            self.ring[line[board.AGE], row, 0] = token
            self.ring[line[board.AGE], row, 1] = int(np.float32(logprob).view(np.int32))
            line[board.TOKEN] = max(token, 0)
            line[[board.POSITION, board.WRITTEN, board.AGE]] += 1

    def drawn(self, row, line):
        if self.swift.refuses and line[board.WRITTEN] in self.swift.refuses:
            return board.AGAIN, 0.0
        heat, bound, least = numbers(line)
        strategy = Greedy()
        if not line[board.FLAGS] & board.GREEDY:
            strategy = Sample(Temperature(heat), TopK(line[board.TOP]), TopP(1 - max(bound, 0)), MinP(least))
        seed = int(np.asarray(line[board.LOW : board.HIGH + 1], dtype=np.int32).view(np.uint64)[0])
        places = Places.of(seed, [line[board.ROW]], line[board.WRITTEN])
        told = draw(strategy, self.logits[row : row + 1], History.of([[]]), places, Telling())
        return int(told.tokens), float(told.logprobs)


class PlainSwift:
    def __init__(self, model, memory, vocab, refuses):
        self.model, self.memory, self.vocab, self.refuses = model, memory, vocab, refuses

    def stage(self, texts, each=1):
        return PlainStage(self, each << (texts - 1).bit_length(), each)


def engine(model, tokenizer, swift, refuses=(), **config):
    made = Engine(model, tokenizer, EngineConfig(block_size=4, **config), way="gpu" if swift else "cpu")
    if swift:
        runner = made._runner
        runner.swift = PlainSwift(model, runner._memory, tokenizer.vocab_size, refuses)
    return made


def texts(made, prompts, strategy, ending=Ending(20), seed=3):  # noqa: B008 - a frozen value
    handles = [made.submit(prompt, strategy, ending, seed=seed, row=row) for row, prompt in enumerate(prompts)]
    return [[(piece.token, piece.text, piece.finish_reason) for piece in handle] for handle in handles]


@pytest.fixture(scope="module")
def prompts(tokenizer):
    said = ["the", "the quick", "the quick brown fo", "", "lazy"]
    return [(tokenizer.end, *tokenizer.encode(text)[:9]) for text in said]


@pytest.fixture(scope="module")
def longer(model):
    """The same weights, and room for guesses."""
    made = Transformer(dataclasses.replace(model.config, context_length=64), seed=1)
    made.load_state_dict(model.state_dict())
    return made.eval()


@pytest.fixture(scope="module")
def echo(model):
    """A model that mostly says again what it said last, since its head is its embedding."""
    made = Transformer(dataclasses.replace(model.config, context_length=64, tied_embeddings=True), seed=1)
    with torch.no_grad():
        made.embedding.weight.mul_(20)
    return made.eval()


@pytest.mark.parametrize("strategy", [Greedy(), DRAWN])
@pytest.mark.parametrize("room", [2, 8])
def test_bursts_change_no_text(model, tokenizer, prompts, strategy, room):
    wanted = texts(engine(model, tokenizer, False), prompts, strategy)
    made = engine(model, tokenizer, True, batch_size=room)
    assert texts(made, prompts, strategy) == wanted
    assert not made.usage.blocks_in_use
    assert made.usage.tokens_written == sum(map(len, wanted))


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 16), st.integers(1, 13), st.sets(st.integers(1, 12), max_size=2))
def test_any_burst_any_length_and_any_draw_that_the_kernel_refuses(model, tokenizer, prompts, burst, most, refuses):
    wanted = texts(engine(model, tokenizer, False), prompts, DRAWN, Ending(most))
    made = engine(model, tokenizer, True, refuses, batch_size=3, burst=burst)
    assert texts(made, prompts, DRAWN, Ending(most)) == wanted
    assert not made.usage.blocks_in_use


@pytest.mark.parametrize("strategy", [Greedy(), Sample(Temperature(0.3), TopK(3))])
@pytest.mark.parametrize("refuses", [(), (2, 5)])
def test_guesses_change_no_text_and_spare_passes(echo, tokenizer, strategy, refuses):
    prompts = [(tokenizer.end, *tokenizer.encode(text)[:4]) for text in ("the the", "quick")]
    lengths = (25, 31)
    plain = engine(echo, tokenizer, False)
    bursts, made = (engine(echo, tokenizer, True, refuses, batch_size=2, burst=2) for _ in range(2))
    told, passes = [], []
    for one, guesses in ((plain, 0), (bursts, 0), (made, 3)):
        handles = [
            one.submit(prompt, strategy, Ending(length), seed=3, row=row, guesses=guesses)
            for row, (prompt, length) in enumerate(zip(prompts, lengths, strict=True))
        ]
        count = 1
        while one.step():
            count += 1
        told.append([[(piece.token, piece.text, piece.finish_reason) for piece in handle.pieces] for handle in handles])
        passes.append(count)
    assert told[1] == told[0]
    assert told[2] == told[0]
    assert not made.usage.blocks_in_use
    assert made.usage.tokens_written == sum(map(len, told[0]))
    if not refuses and strategy == Greedy():
        assert passes[2] < passes[1] < passes[0]


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 4), st.integers(1, 13), st.integers(0, 15), st.integers(1, 3))
def test_any_number_of_guesses_any_burst_and_any_length(longer, tokenizer, prompts, burst, most, guesses, room):
    strategy = Sample(Temperature(0.5), TopK(4))
    wanted = texts(engine(longer, tokenizer, False), prompts[:3], strategy, Ending(most))
    made = engine(longer, tokenizer, True, batch_size=room, burst=burst)
    handles = [
        made.submit(prompt, strategy, Ending(most), seed=3, row=row, guesses=guesses)
        for row, prompt in enumerate(prompts[:3])
    ]
    assert [[(piece.token, piece.text, piece.finish_reason) for piece in handle] for handle in handles] == wanted
    assert not made.usage.blocks_in_use


def test_a_text_that_slides_or_has_stop_strings_is_the_same(model, tokenizer, prompts):
    long, stops = Ending(model.config.context_length + 5), Ending(20, stop=("e", "\n"))
    for ending in (long, stops):
        wanted = texts(engine(model, tokenizer, False), prompts[:2], DRAWN, ending)
        assert texts(engine(model, tokenizer, True, batch_size=2), prompts[:2], DRAWN, ending) == wanted


def test_texts_that_look_back_are_written_beside_those_that_do_not(model, tokenizer, prompts):
    looks = Sample(RepetitionPenalty(1.3), TopK(9))
    plain, made = engine(model, tokenizer, False), engine(model, tokenizer, True, batch_size=4)
    found = []
    for one in (plain, made):
        handles = [one.submit(prompts[row], (looks, DRAWN)[row % 2], Ending(9 + 4 * row), row=row) for row in range(4)]
        found.append([[piece.token for piece in handle] for handle in handles])
    assert found[0] == found[1]


def test_who_leaves_a_burst_frees_his_blocks(model, tokenizer, prompts):
    made = engine(model, tokenizer, True)
    handles = [made.submit(prompt, DRAWN, Ending(20), row=row) for row, prompt in enumerate(prompts)]
    while not handles[0].pieces:
        made.step()
    for handle in handles:
        handle.cancel()
    assert not made.usage.blocks_in_use
    assert not made.step()


def test_a_line_holds_seed_and_filters():
    line = board.knobs(DRAWN, Telling("processed"), 2**64 - 2, 7)
    assert line[:5].tolist() == [20, board.PROCESSED, 7, -2, -1]
    assert line[5:].view(np.float32).tolist() == pytest.approx([0.9, 0.1, 0.01])
    assert board.knobs(Greedy(), Telling(), 1, 0)[:2].tolist() == [1, board.GREEDY]


@pytest.mark.parametrize(
    ("strategy", "telling"),
    [
        (Sample(Temperature(0.5)), Telling()),
        (Sample(TopK(65)), Telling()),
        (Sample(TopK(5), Temperature(0.5)), Telling()),
        (Sample(TopK(5), TopK(3)), Telling()),
        (Sample(TopK(5), Typical(0.5)), Telling()),
        (Greedy(RepetitionPenalty(1.1)), Telling()),
        (Greedy(), Telling("processed")),
        (DRAWN, Telling(alternatives=2)),
    ],
)
def test_what_the_kernel_does_not_draw(strategy, telling):
    assert board.knobs(strategy, telling, 1, 0) is None


def test_kernels_drive_no_model_on_a_cpu(model):
    assert not drives(model)
