from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.decoding.bans import BadWords
from textus.decoding.generate import collect, complete, generate
from textus.decoding.history import History
from textus.decoding.penalties import FrequencyPenalty, RepetitionPenalty
from textus.decoding.processors import Temperature, TopK
from textus.decoding.prompt import framed
from textus.decoding.sampler import Places
from textus.decoding.speculative import Ngrams
from textus.decoding.strategy import Greedy, Sample, Strategy
from textus.errors import ArtefactError, ConfigError
from textus.model.transformer import Transformer

WARM = Sample(Temperature(0.9), TopK(200))


class Script(Strategy):
    """Write the given tokens, whatever the model thinks."""

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__()
        object.__setattr__(self, "script", tokens)

    def pick(self, processed, places):
        return torch.tensor([self.script[position] for position in places.position.tolist()])


@torch.no_grad()
def without_cache(model, prompt, strategy, max_tokens, seed=0, row=0):
    """Write by reading everything in sight again for every token."""
    tokens, begin, context, logprobs = list(prompt), 0, model.config.context_length, []
    for position in range(max_tokens):
        if len(tokens) - begin > context:
            begin = len(tokens) - context // 2
        logits = model(torch.tensor([tokens[begin:]])).logits[:, -1]
        history = History.of([tokens[1:]], written=[position])
        (token,) = strategy.choose(logits, history, Places.of(seed, [row], position)).tolist()
        logprobs.append(logits.log_softmax(-1)[0, token].item())
        tokens.append(token)
    return tokens[len(prompt) :], logprobs


@pytest.mark.parametrize("strategy", [Greedy(), Greedy(RepetitionPenalty(1.3)), WARM, Sample(FrequencyPenalty(0.7))])
@pytest.mark.parametrize("prompt", ["", "the quick", "the lazy dog jumps over "])
def test_the_cache_and_the_sliding_context_change_nothing(model, tokenizer, prompt, strategy):
    written = complete(model, tokenizer, prompt, strategy, max_tokens=45, seed=3)
    size = len(written.tokens)
    tokens, logprobs = without_cache(model, [tokenizer.end, *tokenizer.encode(prompt)], strategy, size, seed=3)
    assert list(written.tokens) == tokens
    assert written.logprobs == pytest.approx(logprobs, abs=1e-4)
    assert size > 20, "the context of 16 was to slide"


def test_a_context_of_one_token_still_slides(tokenizer, model):
    tiny = Transformer(replace(model.config, {"context_length": 1})).eval()
    written = complete(tiny, tokenizer, "", WARM, max_tokens=5)
    assert written.tokens


def test_a_text_does_not_depend_on_how_many_are_written_beside_it(model, tokenizer):
    options = {"max_tokens": 30, "seed": 11}
    many = collect(generate(model, tokenizer, "the", WARM, n=5, **options), 5)
    few = collect(generate(model, tokenizer, "the", WARM, n=2, **options), 2)
    assert [row.tokens for row in many[:2]] == [row.tokens for row in few]
    assert few[0].tokens == complete(model, tokenizer, "the", WARM, **options).tokens
    assert len({row.tokens for row in many}) == 5
    tokens, _ = without_cache(model, [tokenizer.end, *tokenizer.encode("the")], WARM, len(many[4].tokens), 11, row=4)
    assert list(many[4].tokens) == tokens


def test_rows_that_end_early_leave_the_others_alone(model, tokenizer):
    stops = ["e"]
    rows = collect(generate(model, tokenizer, "fox", WARM, n=6, max_tokens=40, seed=2, stop=stops), 6)
    free = collect(generate(model, tokenizer, "fox", WARM, n=6, max_tokens=40, seed=2), 6)
    assert {row.finish_reason for row in rows} > {"stop"}
    assert all(whole.tokens[: len(row.tokens)] == row.tokens for row, whole in zip(rows, free, strict=True))
    assert all("e" not in row.text for row in rows)


def test_many_texts_are_written_in_turns(model, tokenizer, monkeypatch):
    whole = collect(generate(model, tokenizer, "the", WARM, n=7, max_tokens=9, seed=3), 7)
    monkeypatch.setattr("textus.decoding.generate.ROWS_AT_ONCE", 3)
    in_turns = collect(generate(model, tokenizer, "the", WARM, n=7, max_tokens=9, seed=3), 7)
    assert [row.tokens for row in in_turns] == [row.tokens for row in whole]
    first = next(generate(model, tokenizer, "the", WARM, n=2**20, max_tokens=9))
    assert first.row == 0


def test_another_seed_gives_another_text(model, tokenizer):
    assert len({complete(model, tokenizer, "a", WARM, max_tokens=20, seed=seed).tokens for seed in range(4)}) == 4


@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=3), max_size=2))
@settings(max_examples=60)
def test_the_stream_is_the_text_up_to_the_stop(model, tokenizer, text, stops):
    tokens = tokenizer.encode(text)
    whole = tokenizer.decode(tokens)
    pieces = list(generate(model, tokenizer, "x", Script([*tokens, tokenizer.end]), max_tokens=50, stop=stops))
    ends = [(whole.find(stop) + len(stop), whole.find(stop)) for stop in stops if stop in whole]
    assert "".join(piece.text for piece in pieces) == (whole[: min(ends)[1]] if ends else whole)
    assert pieces[-1].finish_reason == ("stop" if ends else "end")
    assert [piece.finish_reason for piece in pieces[:-1]] == [""] * (len(pieces) - 1)


def test_a_character_cut_off_by_the_length_is_shown_as_the_tokenizer_shows_it(model, tokenizer):
    tokens = tokenizer.encode("fox 🦊")[:-1]
    written = complete(model, tokenizer, "", Script(tokens), max_tokens=len(tokens))
    assert written.text == tokenizer.decode(tokens) == "fox �"
    assert written.finish_reason == "length"


def test_text_that_was_held_back_comes_out_at_the_end(model, tokenizer):
    tokens = tokenizer.encode("the dog")
    written = complete(model, tokenizer, "", Script(tokens), max_tokens=len(tokens), stop=["dogs"])
    assert (written.text, written.finish_reason) == ("the dog", "length")


def test_an_end_is_written_as_a_piece_but_is_no_part_of_the_completion(model, tokenizer):
    tokens = tokenizer.encode("the")
    script = Script([*tokens, tokenizer.end, *tokens])
    *_, last = generate(model, tokenizer, "", script, max_tokens=20)
    assert (last.token, last.text, last.finish_reason) == (tokenizer.end, "", "end")
    written = complete(model, tokenizer, "", script, max_tokens=20)
    assert (written.tokens, written.finish_reason) == (tuple(tokens), "end")
    assert len(written.logprobs) == len(tokens)


def test_token_ids_are_continued_like_text(model, tokenizer):
    tokens = tokenizer.encode("the fox")
    texts = {complete(model, tokenizer, p, WARM, max_tokens=9).text for p in ("the fox", tokens, [0, *tokens])}
    assert len(texts) == 1


def test_the_callers_modes_are_left_alone_between_pieces(model, tokenizer):
    model.train()
    try:
        for _ in generate(model, tokenizer, "the", WARM, max_tokens=3):
            assert model.training
            assert not torch.is_inference_mode_enabled()
        assert complete(model, tokenizer, "the", WARM, max_tokens=9) == complete(
            model.eval(), tokenizer, "the", WARM, max_tokens=9
        ), "dropout was on while writing"
    finally:
        model.eval()


def test_a_prompt_longer_than_the_context_is_refused_at_once(model, tokenizer):
    with pytest.raises(ConfigError, match="17 tokens, END included; the model reads at most 16") as caught:
        generate(model, tokenizer, [5] * 16, Greedy(), max_tokens=1)
    assert "shorten" in caught.value.hint


def test_a_prompt_as_long_as_the_context_is_continued(model, tokenizer):
    assert len(list(generate(model, tokenizer, [5] * 15, Script([7, 8]), max_tokens=2))) == 2


@pytest.mark.parametrize("token", [-1, 10**6])
def test_tokens_that_the_model_does_not_know_are_refused(model, tokenizer, token):
    with pytest.raises(ConfigError, match=f"token {token}"):
        generate(model, tokenizer, [5, token], Greedy(), max_tokens=1)


@pytest.mark.parametrize(
    "options",
    [{"max_tokens": 0}, {"max_tokens": 1, "n": 0}, {"max_tokens": 1, "n": 2**40}, {"max_tokens": 1, "seed": -1}],
)
def test_numbers_out_of_range_are_refused_at_once(model, tokenizer, options):
    with pytest.raises(ConfigError, match="generate"):
        generate(model, tokenizer, "", Greedy(), **options)


def test_a_model_that_reads_both_ways_is_refused(model, tokenizer):
    both = Transformer(replace(model.config, {"attention": "bidirectional"}))
    with pytest.raises(ConfigError, match="both ways"):
        generate(both, tokenizer, "", Greedy(), max_tokens=1)


def test_outputs_that_are_no_tokens_are_never_written(model, tokenizer):
    padded = Transformer(replace(model.config, {"vocab_size": tokenizer.vocab_size + 500})).eval()
    written = complete(padded, tokenizer, "the", Sample(), max_tokens=30)
    assert max(written.tokens) < tokenizer.vocab_size


def test_a_stop_token_ends_the_text_and_is_not_shown(model, tokenizer):
    tokens = tokenizer.encode("the quick fox")
    script = Script([*tokens, *tokens])
    *_, last = generate(model, tokenizer, "", script, max_tokens=20, stop_tokens=[tokens[-1]])
    assert (last.token, last.text, last.finish_reason) == (tokens[-1], "", "stop")
    assert "stop token" in last.why
    written = complete(model, tokenizer, "", script, max_tokens=20, stop_tokens=[tokens[-1]])
    assert written.text == tokenizer.decode(tokens[:-1])


def test_a_loop_ends_the_text_and_says_why(model, tokenizer):
    start, run = tokenizer.encode("x"), tokenizer.encode("ab")
    written = complete(model, tokenizer, "", Script([*start, *run * 9]), max_tokens=20, stop_loops=3)
    assert written.finish_reason == "loop"
    assert written.tokens == (*start, *run * 3)
    assert written.why == "the same 2 tokens came 3 times in a row: 'ab'"
    free = complete(model, tokenizer, "", Script([*start, *run * 9]), max_tokens=10)
    assert (free.finish_reason, free.why) == ("length", "")


def test_logprobs_are_named_and_are_what_they_are_named(model, tokenizer):
    strategy = Sample(Temperature(0.5), TopK(4))
    options = {"max_tokens": 8, "seed": 1, "alternatives": 6}
    raw = complete(model, tokenizer, "the", strategy, **options)
    processed = complete(model, tokenizer, "the", strategy, logprobs="processed", **options)
    assert (raw.logprobs_mode, processed.logprobs_mode) == ("raw", "processed")
    assert raw.tokens == processed.tokens
    tokens = [tokenizer.end, *tokenizer.encode("the")]
    for place, token in enumerate(raw.tokens):
        with torch.no_grad():
            logits = model(torch.tensor([[*tokens, *raw.tokens[:place]]])).logits[:, -1]
        own = logits.log_softmax(-1)[0]
        drawn = strategy.process(logits, History.of([[]])).log_softmax(-1)[0]
        assert raw.logprobs[place] == pytest.approx(own[token].item(), abs=1e-4)
        assert processed.logprobs[place] == pytest.approx(drawn[token].item(), abs=1e-4)
        assert [other for other, _ in raw.alternatives[place]] == own.topk(6).indices.tolist()
        assert len(processed.alternatives[place]) == 4, "what cannot follow is no alternative"


def test_the_prompt_is_cut_at_the_end_that_is_named(model, tokenizer):
    class Seen(Greedy):
        def process(self, logits, history):
            seen.append(history.tokens[0].tolist())
            return super().process(logits, history)

    for cut, kept in (("start", list(range(15, 30))), ("end", list(range(10, 25)))):
        seen: list[list[int]] = []
        list(generate(model, tokenizer, range(10, 30), Seen(), max_tokens=1, cut=cut))
        assert seen == [kept]


def test_settings_that_leave_no_token_are_blamed_and_damaged_weights_are(model, tokenizer):
    everything = BadWords(tuple((token,) for token in range(tokenizer.vocab_size)))
    with pytest.raises(ConfigError, match="leave no token"):
        complete(model, tokenizer, "the", Greedy(everything), max_tokens=2)
    with pytest.raises(ConfigError, match="leave no token"):
        complete(model, tokenizer, "the", Sample(everything), max_tokens=2, draft=Ngrams())
    damaged = Transformer(model.config, seed=1).eval()
    with torch.no_grad():
        damaged.norm.weight.fill_(float("nan"))
    for strategy in (Greedy(), Sample()):
        with pytest.raises(ArtefactError, match="not finite"):
            complete(damaged, tokenizer, "the", strategy, max_tokens=2)


def test_text_that_names_a_special_token_is_text(model, tokenizer):
    script = Script(tokenizer.encode("a"))
    (piece,) = generate(model, tokenizer, "<|endoftext|>", script, max_tokens=1)
    assert piece.text == "a"
    assert tokenizer.end not in framed(model, tokenizer, "<|endoftext|>")[1:]


@given(st.binary(max_size=9), st.integers(1, 9))
@settings(max_examples=40)
def test_no_piece_shows_half_a_character(model, tokenizer, data, size):
    single = {tokenizer.token_bytes(token): token for token in range(tokenizer.vocab_size)}
    tokens = [single[bytes([byte])] for byte in data + "é🦊".encode()]
    pieces = list(generate(model, tokenizer, "", Script(tokens), max_tokens=min(size, len(tokens))))
    assert "".join(piece.text for piece in pieces) == tokenizer.decode([piece.token for piece in pieces])
