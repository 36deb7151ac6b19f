import dataclasses
import json
import os
import shutil

import pytest
import torch
import transformers
from tokenizers import pre_tokenizers, trainers

from textus import storage
from textus.checkpoint.checkpoint import KIND, load, load_model, load_weights, write_model
from textus.errors import CheckpointError, ResourceError, TokenizerError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained

torch.set_num_threads(1)


def _tokenizer(vocab_size):
    engine = untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine.train_from_iterator(["the quick brown fox jumps over the lazy dog. " * 20], trainer)
    return finish(engine)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return _tokenizer(300)


def _model(tokenizer, tied=True, heads=(4, 2)):
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        context_length=64,
        num_layers=2,
        hidden_size=32,
        num_heads=heads[0],
        num_kv_heads=heads[1],
        head_size=12,
        intermediate_size=48,
        tied_embeddings=tied,
        rope_theta=5000.0,
        norm_epsilon=1e-5,
    )
    model = Transformer(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        # wide weights and uneven norms, so that a wrong name or order would show
        for parameter in model.parameters():
            scale = torch.rand(parameter.shape, generator=generator) + 0.5
            parameter.mul_(scale if parameter.dim() == 1 else 6 * scale)
    return model.eval()


@pytest.fixture
def directory(tmp_path, tokenizer):
    path = tmp_path / "run"
    with storage.new_directory(path) as new:
        write_model(new, _model(tokenizer), tokenizer, {"corpus": "abc"}, {"do_sample": True, "temperature": 0.8})
        storage.seal(new, KIND, "key", {}, {})
    return path


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (3, 1)])
def test_transformers_computes_the_same_logits(tmp_path, tokenizer, tied, heads):
    model = _model(tokenizer, tied, heads)
    write_model(tmp_path, model, tokenizer, {})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(theirs).__name__ == "Qwen3ForCausalLM" and theirs.dtype is torch.float32
    assert theirs.num_parameters() == model.config.num_parameters()
    tokens = torch.randint(tokenizer.vocab_size, (3, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = theirs(tokens).logits
        assert wanted.std() > 0.5, "logits near zero would agree by chance"
        torch.testing.assert_close(model(tokens).logits, wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(load_model(tmp_path)(tokens).logits, wanted, rtol=1e-4, atol=1e-4)


def test_transformers_writes_the_same_text_greedily(directory, tokenizer):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(directory)
    words = transformers.AutoTokenizer.from_pretrained(directory)
    encoded = words("the quick brown", return_tensors="pt")
    assert encoded.input_ids[0].tolist() == [tokenizer.end, *tokenizer.encode("the quick brown")]
    wanted = theirs.generate(**encoded, max_new_tokens=30, do_sample=False, temperature=None, eos_token_id=None)[
        0
    ].tolist()
    model = load_model(directory)
    tokens, cache = encoded.input_ids[0].tolist(), model.new_cache(1)
    with torch.inference_mode():
        new = tokens
        while len(tokens) < len(wanted):
            logits = model(torch.tensor([new]), cache=cache).logits[0, -1]
            new = [int(logits.argmax())]
            tokens = tokens + new
    assert tokens == wanted


def test_there_and_back(directory, tokenizer):
    checkpoint = load(directory)
    model = _model(tokenizer)
    assert checkpoint.config == model.config and checkpoint.provenance == {"corpus": "abc"}
    assert checkpoint.tokenizer.fingerprint == tokenizer.fingerprint
    assert not checkpoint.model.training
    assert checkpoint.model.head.weight is checkpoint.model.embedding.weight
    for name, value in model.state_dict().items():
        assert torch.equal(checkpoint.model.state_dict()[name], value)
    generation = transformers.GenerationConfig.from_pretrained(directory)
    assert (generation.temperature, generation.eos_token_id) == (0.8, 0)


def test_a_loaded_model_can_be_trained(directory):
    model = load_model(directory)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = model.embedding.weight.detach().clone()
    model(torch.arange(10)[None]).logits.square().mean().backward()
    optimizer.step()
    assert not torch.equal(model.embedding.weight, before)
    assert torch.equal(load_model(directory).embedding.weight, before), "training must not write into the file"


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_formats_are_kept_unless_asked(tmp_path, tokenizer, stored):
    write_model(tmp_path, _model(tokenizer).to(stored), tokenizer, {})
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == str(stored).removeprefix("torch.")
    assert {parameter.dtype for parameter in load_model(tmp_path).parameters()} == {stored}
    assert {parameter.dtype for parameter in load_model(tmp_path, dtype=torch.float32).parameters()} == {torch.float32}


def test_weights_go_into_a_model_that_stands(directory, tokenizer):
    model = Transformer(_model(tokenizer).config, seed=9)
    kept = model.embedding.weight
    load_weights(directory, model)
    assert model.embedding.weight is kept and model.head.weight is kept and kept.requires_grad
    assert torch.equal(kept, _model(tokenizer).embedding.weight)
    other = Transformer(dataclasses.replace(model.config, intermediate_size=50))
    with pytest.raises(CheckpointError, match=r"has shape \[48, 32\], and the config says \[50, 32\]"):
        load_weights(directory, other)


def test_equal_models_have_equal_files(directory, tmp_path, tokenizer):
    write_model(tmp_path, _model(tokenizer), tokenizer, {"corpus": "abc"}, {"do_sample": True, "temperature": 0.8})
    for name in storage.verify(directory, KIND).files:
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes(), name


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: shutil.rmtree(path), "no such directory"),
        (lambda path: (path / "config.json").unlink(), "config.json: no such file"),
        (lambda path: _truncate(path / "config.json"), "config.json: damaged"),
        (lambda path: (path / "config.json").write_text("[]"), "config.json: not a model's config"),
        (lambda path: _edit(path / "config.json", architectures=["MambaForCausalLM"]), "MambaForCausalLM"),
        (lambda path: _edit(path / "config.json", intermediate_size=50), r"has shape \[48, 32\]"),
        (lambda path: _edit(path / "config.json", num_hidden_layers=1), "holds unknown"),
        (lambda path: (path / "model.safetensors").unlink(), "model.safetensors: no such file"),
        (lambda path: _truncate(path / "model.safetensors"), "model.safetensors: damaged"),
        (lambda path: (path / "model.safetensors").write_bytes(b""), "model.safetensors: damaged"),
        (lambda path: (path / "model.safetensors").rename(path / "pytorch_model.bin"), "a pickle"),
        (
            lambda path: (path / "model.safetensors").rename(path / "model.safetensors.index.json"),
            "index.json: damaged",
        ),
        (lambda path: _truncate(path / "provenance.json"), "provenance.json: damaged"),
    ],
)
def test_damage_is_one_sentence_and_a_hint(directory, damage, words):
    (directory / "manifest.json").unlink()  # as in a directory that was made elsewhere
    damage(directory)
    with pytest.raises(CheckpointError, match=words) as caught:
        load(directory)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "provenance.json"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "is missing, and the manifest says"),
        (_truncate, "the manifest says"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
            "its checksum differs",
        ),
    ],
)
def test_files_that_are_not_as_the_manifest_says_are_damaged(directory, name, damage, words):
    damage(directory / name)
    with pytest.raises(CheckpointError, match=rf"{name}: .*{words}") as caught:
        load(directory)
    assert caught.value.hint


def test_what_a_killed_process_was_publishing_is_completed(directory, tmp_path, tokenizer):
    older = load(directory).provenance
    with storage.new_directory(tmp_path / "new") as new:
        write_model(new, _model(tokenizer), tokenizer, {"corpus": "newer"})
        storage.seal(new, KIND, "key 2", {}, {})
    (tmp_path / "new").rename(directory / ".incoming")
    (directory / "manifest.json").unlink()
    (directory / ".incoming" / "config.json").replace(directory / "config.json")
    assert older != load(directory).provenance == {"corpus": "newer"}
    assert storage.verify(directory, KIND).key == "key 2"


def test_a_manifest_of_somebody_elses_is_left_alone(directory):
    (directory / "manifest.json").write_text('{"name": "their own", "version": 3}')
    assert load(directory).provenance == {"corpus": "abc"}
    (directory / "manifest.json").write_text('{"kind": "checkp')
    with pytest.raises(CheckpointError, match="damaged"):
        load(directory)


def test_another_artefact_is_no_model(directory):
    storage.seal(directory, "corpus", "key", {}, {})
    with pytest.raises(CheckpointError, match="holds a corpus, not a checkpoint"):
        load(directory)


def test_a_tokenizer_of_another_model_is_refused(tmp_path, directory, tokenizer):
    letters = _tokenizer(260)
    assert letters.vocab_size < tokenizer.vocab_size
    small = Transformer(dataclasses.replace(_model(tokenizer).config, vocab_size=letters.vocab_size))
    with pytest.raises(AssertionError, match="the model does not"):
        write_model(directory, small, tokenizer, {})
    write_model(tmp_path, small, letters, {})
    tokenizer.save(tmp_path)
    with pytest.raises(CheckpointError, match="its tokenizer knows"):
        load(tmp_path)
    for name in ("manifest.json", "tokenizer.json"):
        (directory / name).unlink()
    with pytest.raises(TokenizerError):
        load(directory)


def test_a_model_may_have_room_for_more_tokens(tmp_path, tokenizer):
    config = dataclasses.replace(_model(tokenizer).config, vocab_size=tokenizer.vocab_size + 4)
    write_model(tmp_path, Transformer(config), tokenizer, {})
    assert load(tmp_path).config.vocab_size == tokenizer.vocab_size + 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_said(tmp_path, tokenizer):
    tmp_path.chmod(0o500)
    with pytest.raises(ResourceError, match="no permission"):
        write_model(tmp_path, _model(tokenizer), tokenizer, {})
    tmp_path.chmod(0o700)
