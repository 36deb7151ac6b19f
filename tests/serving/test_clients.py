"""Programs that others have made, and how they get on with our server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

openai = pytest.importorskip("openai")
TALK: Any = [{"role": "user", "content": "the fox"}]


@pytest.fixture(scope="module", params=[False, True], ids=["usual", "strict"])
def client(server: Any, request: pytest.FixtureRequest) -> Any:
    """OpenAI's own client; the strict one validates every answer."""
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, _strict_response_validation=request.param
    ) as made:
        yield made


def test_openais_client_reads_every_route(client: Any, server: Any) -> None:
    assert [model.id for model in client.models.list()] == ["tiny", "both"]
    written = client.completions.create(model="tiny", prompt="the", max_tokens=4, logprobs=2, n=2, seed=1)
    assert len(written.choices) == 2 and written.usage.completion_tokens <= 8
    parts = list(
        client.completions.create(model="tiny", prompt="the", max_tokens=4, logprobs=2, n=2, seed=1, stream=True)
    )
    for choice in written.choices:
        mine = [part.choices[0] for part in parts if part.choices[0].index == choice.index]
        assert "".join(one.text for one in mine) == choice.text
    said = client.chat.completions.create(
        model="tiny", messages=TALK, max_completion_tokens=4, logprobs=True, top_logprobs=1, seed=2
    )
    told = client.chat.completions.create(
        model="tiny", messages=TALK, max_tokens=4, seed=2, stream=True, stream_options={"include_usage": True}
    )
    *pieces, last = list(told)
    assert "".join(part.choices[0].delta.content or "" for part in pieces) == said.choices[0].message.content
    assert last.usage == said.usage
    (plain,) = client.embeddings.create(model="tiny", input="the fox", encoding_format="float").data
    if not client._strict_response_validation:  # which knows no base64, for which the client itself asks
        (vector,) = client.embeddings.create(model="tiny", input="the fox").data
        assert vector.embedding == pytest.approx(plain.embedding)
    assert client.moderations.create(input="a forbidden loom").results[0].flagged


def test_openais_client_reads_an_echo(client: Any) -> None:
    if client._strict_response_validation:
        pytest.skip("its types have no null for the first token, which the API itself gives")
    (choice,) = client.completions.create(model="tiny", prompt="the fox", max_tokens=0, echo=True, logprobs=1).choices
    assert choice.text == "the fox" and choice.logprobs.token_logprobs[0] is None


def test_openais_client_knows_our_errors(client: Any) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        client.completions.create(model="tiny", prompt="the", best_of=2)
    assert bad.value.param == "best_of" and bad.value.code == "unsupported_parameter" and bad.value.request_id
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="large", prompt="the")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="a key that nobody has").models.list()
    with pytest.raises(openai.BadRequestError, match="guard"):
        client.completions.create(model="tiny", prompt="a forbidden loom")


def test_lm_evaluation_harness_finds_the_scores_of_this_process(
    server: Any, directories: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = pytest.importorskip("lm_eval.models.openai_completions")
    from lm_eval.api.instance import Instance

    from textus.evaluation.harness import TextusLM

    monkeypatch.setenv("OPENAI_API_KEY", server.key)
    place = str(directories["tiny"])
    asked = [("the quick", " brown fox"), ("the", " dog"), ("", "the lazy dog"), ("a é", "日本")]
    requests = [Instance("loglikelihood", {}, args, number, ("task", number, 1)) for number, args in enumerate(asked)]
    theirs = api.LocalCompletionsAPI(
        model="tiny",
        base_url=f"{server.url}/v1/completions",
        tokenizer=place,
        tokenizer_backend="huggingface",
        add_bos_token=True,
        max_length=256,
        batch_size=2,
    )
    found = theirs.loglikelihood(requests, disable_tqdm=True)
    mine = TextusLM(place).loglikelihood(requests, disable_tqdm=True)
    for (logprob, greedy), (value, likeliest) in zip(found, mine, strict=True):
        assert logprob == pytest.approx(value, abs=1e-4)
        assert greedy == likeliest
