"""From raw text to a model that another library opens: the whole house in a few seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import textus


def test_a_trained_run_is_a_hugging_face_model(trained: Path) -> None:
    transformers = pytest.importorskip("transformers")
    place = trained / "runs/first"
    ours = textus.load(place)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
    vocabulary = transformers.AutoTokenizer.from_pretrained(place)
    text = "The import statement combines two operations; it searches, and it binds."
    tokens = vocabulary(text, return_tensors="pt").input_ids
    assert tokens[0].tolist() == [ours.tokenizer.end, *ours.tokenizer.encode(text)]
    with torch.inference_mode():
        assert torch.allclose(ours.model(tokens).logits, theirs(tokens).logits, atol=1e-4)
    chain = ours.provenance
    assert chain["tokenizer"] == ours.tokenizer.fingerprint
    assert chain["corpus"] == textus.Corpus.open(place / "corpus").fingerprint
    assert chain["shards"] == textus.Shards.open(place / "shards").fingerprint


def test_an_encoder_opens_in_transformers_and_sentence_transformers(both_ways: Path) -> None:
    transformers = pytest.importorskip("transformers")
    place = both_ways / "runs/masked"
    ours = textus.load(place)
    theirs = transformers.ModernBertForMaskedLM.from_pretrained(place, dtype=torch.float32).eval()
    vocabulary = transformers.AutoTokenizer.from_pretrained(place)
    text = "The import statement combines<mask> operations; it searches, and it binds."
    tokens = vocabulary(text, return_tensors="pt").input_ids
    assert (tokens == vocabulary.mask_token_id).sum() == 1
    with torch.inference_mode():
        logits = theirs(tokens).logits
        assert torch.allclose(ours.model(tokens).logits, logits, atol=1e-4)
    likely = logits[0, (tokens[0] == vocabulary.mask_token_id)].softmax(-1)
    best = textus.fill(ours, text, top_k=1).blanks[0][0]
    assert best.probability == pytest.approx(likely[0, ours.tokenizer.encode(best.token)[0]].item(), rel=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_sentence_transformers_makes_the_same_vectors(both_ways: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    place, texts = both_ways / "runs/masked", ["The import statement combines two operations.", "A class."]
    theirs = library.SentenceTransformer(str(place), device="cpu").encode(texts, normalize_embeddings=True)
    assert textus.embed(place, texts) == pytest.approx(theirs, abs=1e-4)
    short = textus.embed(place, texts, dimensions=8)
    cut = theirs[:, :8] / (theirs[:, :8] ** 2).sum(1, keepdims=True) ** 0.5
    assert short == pytest.approx(cut, abs=1e-4)


def test_a_hybrid_opens_as_a_causal_model_and_reads_both_ways_when_told_to(both_ways: Path) -> None:
    transformers = pytest.importorskip("transformers")
    place = both_ways / "runs/hybrid"
    ours = textus.load(place)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
    assert type(theirs).__name__ == "Qwen3ForCausalLM"
    tokens = torch.randint(4, ours.config.vocab_size, (2, 30), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(ours.model(tokens).logits, theirs(tokens).logits, atol=1e-4)
        both = ours.model(tokens, attention="bidirectional").logits
        assert torch.allclose(both, theirs(tokens, is_causal=False).logits, atol=1e-4)
        seen = torch.ones_like(tokens)
        seen[1, 20:] = 0  # where rows are padded a mask is made, which must not hide what follows either
        padded = theirs(tokens, attention_mask=seen, is_causal=False).logits
        short = ours.model(tokens[1:, :20], attention="bidirectional").logits
        assert torch.allclose(both[0], padded[0], atol=1e-4) and torch.allclose(short[0], padded[1, :20], atol=1e-4)
        assert not torch.allclose(both, ours.model(tokens).logits, atol=1e-2)


def test_each_way_of_reading_is_measured_by_its_own_numbers(both_ways: Path) -> None:
    names = {
        run: [score.name for score in textus.evaluate(both_ways / "runs" / run).scores]
        for run in ("masked", "hybrid", "diffusion")
    }
    causal = ["loss", "perplexity", "bits_per_byte"]
    masked = ["masked_loss", "masked_accuracy", "masked_bits_per_byte"]
    assert names == {"masked": masked, "hybrid": causal + masked, "diffusion": [*masked, "bits_per_byte_bound"]}
    for run in names:
        place = both_ways / "runs" / run
        assert textus.load(place).provenance["settings"]["objective"]["name"] == run
        assert (place / "report.html").is_file()
