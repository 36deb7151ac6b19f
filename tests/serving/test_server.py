"""A real server, asked over HTTP: every route, every shape, every refusal."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.checkpoint import checkpoint
from textus.decoding.config import SamplingConfig
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.audit import audit
from textus.verbs.generate import stream

GREEDY = SamplingConfig(temperature=0, top_k="off", top_p=1.0, max_tokens=8)


@pytest.fixture(scope="module")
def opened(directories: dict[str, Path]) -> Any:
    return checkpoint.load(directories["tiny"])


def spelling(text: str) -> dict[str, Any]:
    """Fields that let the model write one text and no other."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": text}}}
    return {"response_format": schema, "max_tokens": 100}


def test_a_text_is_what_the_engine_writes_in_this_process(server: Any, opened: Any, one_thread: None) -> None:
    engine = Engine(opened.model, opened.tokenizer, EngineConfig(fixed_batch=8))
    found = server.write(max_tokens=8, logprobs=3, n=2, seed=5, temperature=1)
    config = SamplingConfig(temperature=1.0, top_k="off", top_p=1.0, max_tokens=8, seed=5)
    pieces = list(stream(opened, "the", config, n=2, alternatives=3, engine=engine))
    for row, choice in enumerate(found["choices"]):
        mine = [piece for piece in pieces if piece.row == row]
        assert choice["index"] == row
        assert choice["text"] == "".join(piece.text for piece in mine)
        kept = [piece for piece in mine if piece.finish_reason != "end"]
        assert choice["logprobs"]["token_logprobs"] == [piece.logprob for piece in kept]
        assert choice["finish_reason"] == {"end": "stop"}.get(mine[-1].finish_reason, mine[-1].finish_reason)
        for piece, top in zip(kept, choice["logprobs"]["top_logprobs"], strict=True):
            assert set(top.values()) == {piece.logprob, *(one.logprob for one in piece.alternatives)}
    assert found["usage"]["prompt_tokens"] == 1 + len(opened.tokenizer.encode("the"))
    assert found["usage"]["completion_tokens"] == sum(piece.finish_reason != "end" for piece in pieces)


def test_an_adapter_is_a_model_of_its_own(server: Any, directories: dict[str, Path]) -> None:
    adapted = textus.load(directories["tiny"], adapter=directories["poems"])
    engine = Engine(adapted.model, adapted.tokenizer, EngineConfig(fixed_batch=8))
    mine = "".join(piece.text for piece in stream(adapted, "the", GREEDY, engine=engine))
    (found,) = server.write(model="poems", max_tokens=8)["choices"]
    (plain,) = server.write(max_tokens=8)["choices"]
    assert found["text"] == mine != plain["text"]


@pytest.mark.parametrize("fields", [{}, {"logprobs": 2}, {"echo": True, "logprobs": 0}, {"stop": ["q", "zz"], "n": 3}])
def test_a_stream_comes_to_the_same_as_a_whole(server: Any, fields: dict[str, Any]) -> None:
    same = {"max_tokens": 24, "seed": 3, "temperature": 1, "prompt": ["the", "a fox"], **fields}
    whole = server.write(**same)
    *parts, usage = server.write(**same, stream=True, stream_options={"include_usage": True})
    assert usage["choices"] == [] and usage["usage"] == whole["usage"]
    assert all(part["usage"] is None and len(part["choices"]) == 1 for part in parts)
    for choice in whole["choices"]:
        mine = [part["choices"][0] for part in parts if part["choices"][0]["index"] == choice["index"]]
        assert "".join(one["text"] for one in mine) == choice["text"]
        assert [one["finish_reason"] for one in mine] == [None] * (len(mine) - 1) + [choice["finish_reason"]]
        for name in choice["logprobs"] or ():
            assert [value for one in mine for value in one["logprobs"][name]] == choice["logprobs"][name]


def test_a_conversation_in_one_piece_and_in_parts(server: Any) -> None:
    same = {"max_completion_tokens": 8, "logprobs": True, "top_logprobs": 2, "seed": 1}
    whole = server.chat(**same)
    first, *parts = server.chat(**same, stream=True)
    assert whole["object"] == "chat.completion" and first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    said = "".join(part["choices"][0]["delta"].get("content", "") for part in parts)
    (choice,) = whole["choices"]
    assert choice["message"] == {"role": "assistant", "content": said, "refusal": None}
    told = [one for part in parts for one in part["choices"][0]["logprobs"]["content"]]
    assert told == choice["logprobs"]["content"]
    assert all(len(one["top_logprobs"]) == 2 and bytes(one["bytes"]) is not None for one in told)
    assert parts[-1]["choices"][0] | {"logprobs": None} == {
        "index": 0, "delta": {}, "finish_reason": choice["finish_reason"], "logprobs": None
    }  # fmt: skip


def test_an_echo_tells_how_likely_the_prompt_is(server: Any, opened: Any) -> None:
    text = "the quick fox"
    (choice,) = server.write(prompt=text, echo=True, max_tokens=0, logprobs=1)["choices"]
    assert choice["text"] == text and choice["finish_reason"] == "length"
    told = choice["logprobs"]
    assert told["tokens"] == ["<|endoftext|>", *map(opened.tokenizer.token_text, opened.tokenizer.encode(text))]
    assert told["token_logprobs"][0] is told["top_logprobs"][0] is None
    (mine,) = textus.score(opened, text)
    assert told["token_logprobs"][1:] == pytest.approx(mine.logprobs, abs=1e-5)
    assert all(max(top.values()) in top.values() for top in told["top_logprobs"][1:])
    assert told["text_offset"][:2] == [0, 0] and told["text_offset"][-1] < len(text)


def test_tokens_are_read_as_they_are(server: Any, opened: Any) -> None:
    ids = opened.tokenizer.encode("the fox")
    bare = server.write(prompt=ids, max_tokens=4)
    framed = server.write(prompt=[opened.tokenizer.begin, *ids], max_tokens=4)
    assert bare["usage"]["prompt_tokens"] == len(ids)
    assert framed["choices"][0]["text"] == server.write(prompt="the fox", max_tokens=4)["choices"][0]["text"]
    several = server.write(prompt=[ids, [opened.tokenizer.begin, *ids]], max_tokens=4)
    assert [one["text"] for one in several["choices"]] == [bare["choices"][0]["text"], framed["choices"][0]["text"]]


def test_a_schema_is_kept_to(server: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    wanted: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    found = server.chat(response_format=wanted, max_tokens=40, temperature=2)
    assert json.loads(found["choices"][0]["message"]["content"])["a"] in (1, 2)
    wanted["json_schema"]["schema"] = {"type": "nonsense"}
    answer = server.ask("/v1/completions", {"model": "tiny", "prompt": "x", "response_format": wanted})
    assert answer.status == 400 and answer.error["param"] == "response_format"


def test_biases_penalties_and_stops_are_heard(server: Any, opened: Any) -> None:
    (token,) = opened.tokenizer.encode("e")
    found = server.write(logit_bias={str(token): 100}, max_tokens=5)
    assert found["choices"][0]["text"] == "eeeee"
    calmed = server.write(logit_bias={str(token): 40}, max_tokens=5, frequency_penalty=2, presence_penalty=2)
    assert calmed["choices"][0]["text"] == "eeeee"  # 2 a time is little against 40
    stopped = server.write(logit_bias={str(token): 100}, max_tokens=5, stop="ee", logprobs=0)
    assert stopped["choices"][0] | {"logprobs": None} == {
        "index": 0, "text": "", "finish_reason": "stop", "logprobs": None
    }  # fmt: skip
    assert stopped["choices"][0]["logprobs"]["tokens"] == []


def test_a_seed_gives_the_same_text_and_none_another(server: Any) -> None:
    same = {"temperature": 2, "max_tokens": 16}
    texts = [server.write(**same, seed=seed)["choices"][0]["text"] for seed in (7, 7, -7)]
    assert texts[0] == texts[1] != texts[2]
    assert server.write(**same)["choices"][0]["text"] != server.write(**same)["choices"][0]["text"]


def test_vectors_in_both_encodings(server: Any, opened: Any) -> None:
    asked = {"model": "tiny", "input": ["the fox", opened.tokenizer.encode("a dog")][:1] * 2, "dimensions": 8}
    plain = server.ask("/v1/embeddings", asked).json
    packed = server.ask("/v1/embeddings", {**asked, "encoding_format": "base64"}).json
    mine = textus.embed(opened, ["the fox"], dimensions=8)[0].tolist()
    for index, (one, other) in enumerate(zip(plain["data"], packed["data"], strict=True)):
        assert one["index"] == other["index"] == index
        assert one["embedding"] == pytest.approx(mine, abs=1e-5)
        assert list(struct.unpack("<8f", base64.b64decode(other["embedding"]))) == one["embedding"]
    of_tokens = server.ask("/v1/embeddings", {**asked, "input": opened.tokenizer.encode("the fox")}).json
    assert of_tokens["data"][0]["embedding"] == pytest.approx(mine, abs=1e-5)
    assert server.ask("/v1/embeddings", {**asked, "dimensions": 1000}).error["param"] == "input"


def test_texts_to_tokens_and_back(server: Any, tokenizer: Tokenizer) -> None:
    found = server.ask("/tokenize", {"prompt": "the fox é", "return_token_strs": True}).json
    assert found["tokens"] == tokenizer.frame(tokenizer.encode("the fox é"))
    assert found["count"] == len(found["tokens"]) == len(found["token_strs"]) and found["max_model_len"] == 256
    plain = server.ask("/tokenize", {"model": "both", "prompt": "the fox é", "add_special_tokens": False}).json
    assert plain["tokens"] == tokenizer.encode("the fox é")
    assert server.ask("/detokenize", {"tokens": plain["tokens"]}).json == {"prompt": "the fox é"}
    assert server.ask("/detokenize", {"tokens": [99999]}).error["param"] == "tokens"
    talk = {"messages": [{"role": "user", "content": "the fox"}]}
    assert server.ask("/tokenize", talk).json["count"] == server.chat(max_tokens=1)["usage"]["prompt_tokens"]


def test_blanks_are_filled(server: Any, directories: dict[str, Path]) -> None:
    found = server.ask("/v1/fill", {"model": "both", "text": "the <mask> fox", "top_k": 3}).json
    mine = textus.fill(checkpoint.load(directories["both"]), "the <mask> fox", top_k=3).as_dict()
    assert found["text"] == mine["text"]
    assert [one["token"] for one in found["masks"][0]] == [one["token"] for one in mine["masks"][0]]
    assert server.ask("/v1/fill", {"model": "both", "text": "no blank"}).error["param"] == "text"
    assert server.ask("/v1/fill", {"model": "tiny", "text": "a <mask>"}).status == 400


def test_models_and_health(server: Any) -> None:
    listed = server.ask("/v1/models").json
    assert [one["id"] for one in listed["data"]] == ["tiny", "both", "poems"]
    assert [one["textus"]["writes"] for one in listed["data"]] == [True, False, True]
    assert server.ask("/v1/models/tiny").json == listed["data"][0]
    assert server.ask("/v1/models/none").error["code"] == "model_not_found"
    for path in ("/livez", "/readyz"):
        assert server.ask(path, headers={}).status == 200
    assert server.ask("/metrics").body.count(b"# TYPE vllm:") >= 8


def test_verdicts_in_the_shape_of_openais(server: Any) -> None:
    found = server.ask("/v1/moderations", {"input": ["a fox", "a Forbidden Loom"]}).json
    calm, flagged = found["results"]
    assert (calm["flagged"], flagged["flagged"]) == (False, True)
    assert len(flagged["categories"]) == 13 and set(flagged["categories"]) == set(flagged["category_scores"])
    assert flagged["textus"]["action"] == "block" and flagged["textus"]["categories"] == ["blocklist/looms"]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/fill"])
def test_nothing_that_is_blocked_goes_in(server: Any, path: str) -> None:
    text = "a forbidden loom <mask>"
    fields = {
        "/v1/completions": {"prompt": text},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": text}]},
        "/v1/embeddings": {"input": text},
        "/v1/fill": {"text": text},
    }
    answer = server.ask(path, {"model": "both" if "fill" in path else "tiny", **fields[path]})
    assert (answer.status, answer.error["code"]) == (400, "content_filter")
    tokens = server.ask("/tokenize", {"prompt": text}).json["tokens"]
    if path == "/v1/completions":
        assert server.ask(path, {"model": "tiny", "prompt": [[1], tokens]}).error["code"] == "content_filter"


@pytest.mark.parametrize("told", [{}, {"logprobs": 2}])
@pytest.mark.parametrize("streams", [False, True])
def test_nothing_of_a_blocked_window_reaches_the_wire(server: Any, told: dict[str, Any], streams: bool) -> None:
    written = "the fox and the dog and the fox and the dog; a forbidden loom, and much more of this"
    fields = {
        "model": "tiny",
        "prompt": "the",
        "n": 2,
        "stream": streams,
        "temperature": 0,
        **spelling(written),
        **told,
    }
    answer = server.ask("/v1/completions", fields)
    assert b"forbidden" not in answer.body and b"loom" not in answer.body and b"much" not in answer.body
    parts = answer.events if streams else [answer.json]
    choices = [choice for part in parts for choice in part["choices"]]
    for index in range(2):
        mine = [choice for choice in choices if choice["index"] == index]
        text = "".join(choice["text"] for choice in mine)
        assert mine[-1]["finish_reason"] == "content_filter" and f'"{written}'.startswith(text) and text
        tokens = [token for choice in mine for token in (choice["logprobs"] or {"tokens": []})["tokens"]]
        assert "".join(tokens) == (text if told else "")[: len("".join(tokens))]


def test_what_is_redacted_is_not_told_of_either(server: Any) -> None:
    fields = spelling("ask ada@example.org about the fox")
    found = server.write(**fields, logprobs=3)["choices"][0]
    assert found["text"] == '"ask <EMAIL> about the fox"' and found["finish_reason"] == "stop"
    assert "".join(found["logprobs"]["tokens"]) == '"ask  about the fox"'
    said = server.chat(**fields, logprobs=True)["choices"][0]
    assert said["message"]["content"] == '"ask <EMAIL> about the fox"'
    echo = server.write(prompt="ask ada@example.org now", echo=True, max_tokens=0, logprobs=0)["choices"][0]
    assert echo["text"] == "ask <EMAIL> now" and "ada" not in "".join(echo["logprobs"]["tokens"])
    tokens = server.ask("/tokenize", {"prompt": "ask ada@example.org now"}).json["tokens"]
    assert server.ask("/detokenize", {"tokens": tokens}).json["prompt"].endswith("ask <EMAIL> now")


def test_every_decision_is_logged_and_the_log_is_whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    server.write(max_tokens=1)
    (log,) = {path.resolve() for path in tmp_path_factory.getbasetemp().glob("server*/audit")}
    report = audit(log)
    assert report.records and not report.problems
    last = (log / "00000001.jsonl").read_text("utf-8").splitlines()[-1]
    assert '"who":"Ada"' in last and '"route":"/v1/completions"' in last


def test_what_is_wrong_is_said_in_four_fields(server: Any) -> None:
    def error(path: str, body: Any, **headers: str) -> Any:
        answer = server.ask(path, body, {**server.headers, **headers})
        assert answer.headers["x-request-id"]
        return answer.status, answer.error["code"], answer.error["param"]

    whole = {"model": "tiny", "prompt": "the"}
    assert error("/v1/completions", whole, Authorization="Bearer nobody's key") == (401, "invalid_api_key", None)
    assert error("/v1/models", None, Authorization="") == (401, "invalid_api_key", None)
    assert error("/metrics", None, Authorization="") == (401, "invalid_api_key", None)
    assert error("/v1/completions", {**whole, "model": "large"}) == (404, "model_not_found", "model")
    assert error("/v1/completions", {**whole, "model": "both"}) == (400, "invalid_value", "model")
    assert error("/v1/completions", {**whole, "best_of": 2}) == (400, "unsupported_parameter", "best_of")
    assert error("/v1/completions", {**whole, "prompt": "x " * 300}) == (400, "context_length_exceeded", "prompt")
    assert error("/v1/completions", {**whole, "prompt": [5000]}) == (400, "invalid_value", "prompt")
    assert error("/v1/completions", {**whole, "max_tokens": 5000}) == (400, "invalid_value", "max_tokens")
    assert error("/v1/completions", {**whole, "n": 128, "prompt": ["a", "b"]}) == (400, "too_many_texts", "n")
    assert error("/v1/completions", {**whole, "logit_bias": {"99999": 1}}) == (400, "invalid_value", "logit_bias")
    assert error("/v1/completions", whole, **{"Content-Type": "text/plain"}) == (415, "unsupported_media_type", None)
    assert error("/v1/completions", b'{"model": "tiny", "prompt": "\xff"}') == (400, "invalid_utf8", None)
    assert error("/v1/completions", b'{"model": ') == (400, "invalid_json", None)
    assert error("/v1/completions", b" " * 10_000_000) == (413, "request_too_large", None)
    assert error("/v1/completions", None) == (405, "method_not_allowed", None)
    assert server.ask("/v1/completions").headers["allow"] == "POST"
    assert error("/v1/responses", whole) == (404, "not_found", None)
    two = [{"role": "user", "content": "a"}] * 2
    assert error("/v1/chat/completions", {"model": "tiny", "messages": two}) == (400, "invalid_value", "messages")
    assert server.ask("/v1/completions", {**whole, "prompt": "a \ud800 b", "max_tokens": 1}).status == 200


def test_a_long_conversation_loses_its_beginning_only_if_it_may(server: Any) -> None:
    turns = [{"role": role, "content": "the fox " * 8} for role in ("user", "assistant")] * 12
    talk = {"model": "tiny", "messages": [*turns, turns[0]], "max_tokens": 2}
    refused = server.ask("/v1/chat/completions", talk)
    assert (refused.status, refused.error["code"]) == (400, "context_length_exceeded")
    found = server.ask("/v1/chat/completions", {**talk, "truncation": "auto"}).json
    assert found["left_out"] > 0 and found["usage"]["prompt_tokens"] < 256


def test_a_page_may_run_nothing_but_itself(server: Any) -> None:
    answer = server.ask("/", headers={})
    if answer.status == 404:
        assert "no page" in answer.error["message"]
    else:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["content-type"].startswith("text/html")
