import json

from textus import fingerprint
from textus.checkpoint.provenance import provenance


def test_it_says_everything_and_is_json():
    made = provenance(corpus="a", tokenizer="b", shards="c", settings={"seed": 1}, facts={"steps": 3})
    assert json.loads(json.dumps(made)) == made
    assert (made["corpus"], made["tokenizer"], made["shards"], made["parent"]) == ("a", "b", "c", "")
    assert made["code"] == fingerprint.of_code() and set(made["versions"]) == {"textus", "torch", "python"}


def test_equal_runs_have_equal_provenance():
    first, again = (provenance(corpus="a", tokenizer="b", shards="c", settings={}) for _ in range(2))
    assert first == again
