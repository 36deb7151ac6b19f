"""What the profiles drop from dirty and from good text, how well languages are told, and what it costs.

python benchmarks/filters.py DATA

DATA holds dirty/ (web-like text with a label for each kind of dirt), domain/, general/, multilingual/, classification/.
The last line is JSON.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import zstandard

from textus.corpus.batch import TextBatch, batches
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.filters.config import FilterConfig, Profile
from textus.corpus.filters.features import features
from textus.corpus.filters.language import identify
from textus.corpus.filters.profiles import verdicts
from textus.corpus.filters.quality import train_quality

UDHR = {
    "afr": "af", "amh": "am", "arb": "ar", "azj_latn": "az", "bel": "be", "ben": "bn", "bos_latn": "bs", "bre": "br",
    "bul": "bg", "cat": "ca", "ces": "cs", "cmn_hans": "zh", "cmn_hant": "zh", "cym": "cy", "dan": "da", "deu": "de",
    "ell_monotonic": "el", "eng": "en", "epo": "eo", "est": "et", "eus": "eu", "fao": "fo", "fin": "fi", "fra": "fr",
    "gla": "gd", "gle": "ga", "glg": "gl", "guj": "gu", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu",
    "hye": "hy", "ibo": "ig", "ind": "id", "isl": "is", "ita": "it", "jav": "jv", "jpn": "ja", "kan": "kn",
    "kat": "ka", "kaz": "kk", "khm": "km", "kin": "rw", "kir": "ky", "kor": "ko", "lao": "lo", "lat": "la",
    "lav": "lv", "lit": "lt", "ltz": "lb", "mal": "ml", "mar": "mr", "mkd": "mk", "mlt": "mt", "mri": "mi",
    "mya": "my", "nep": "ne", "nld": "nl", "nno": "nn", "nob": "no", "pan": "pa", "pes_1": "fa", "plt": "mg",
    "pol": "pl", "por_PT": "pt", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl", "som": "so", "spa": "es",
    "srp_cyrl": "sr", "swe": "sv", "swh": "sw", "tam": "ta", "tgk": "tg", "tgl": "tl", "tha": "th", "tur": "tr",
    "uig_arab": "ug", "ukr": "uk", "urd": "ur", "uzn_latn": "uz", "vie": "vi", "xho": "xh", "ydd": "yi", "yor": "yo",
    "zul": "zu",
}  # fmt: skip
"""Languages of the Universal Declaration of Human Rights that the detector knows."""
SNIPPET, SNIPPETS = 200, 30


def records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            yield json.loads(line)


def texts_of(path: Path) -> list[str]:
    return [record["text"] for record in records(path)]


def measured(texts: list[str]) -> dict[str, np.ndarray]:
    groups = batches(Document(text, "") for text in texts)
    parts = [features(TextBatch([document.text for document in group])) for group in groups]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds, the least of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def dropped(columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """Share of the texts that each profile drops, and for which reasons most."""
    row: dict[str, Any] = {"documents": len(columns["words"])}
    for profile in get_args(Profile):
        found = verdicts(columns, FilterConfig(profile=profile))
        if profile != "none":
            row[profile] = {
                "share": round(float((found.reasons > 0).mean()), 5),
                "reasons": dict(Counter(found.dropped()).most_common(4)),
            }
    return row


def languages(data: Path, dirty: list[str], labels: list[str]) -> dict[str, Any]:
    right: dict[str, list[bool]] = defaultdict(list)
    for record in records(data / "multilingual/udhr_and_zhwiki.jsonl.zst"):
        if code := UDHR.get(record["lang"]):
            text = re.sub(r"\s+", " ", record["text"])
            snippets = [text[at : at + SNIPPET] for at in range(0, len(text) - SNIPPET, SNIPPET)][:SNIPPETS]
            right[code] += [found == code for found in identify(snippets)[0]]
    codes = Counter(zip(labels, identify(dirty)[0], strict=True))
    # What letters drawn at random are in, and words said again and again, nobody can say.
    sure = set(labels) - {"gibberish", "repetition", "non_english"}
    english = {code: sum(codes[kind, code] for kind in sure) for code in {code for _, code in codes}}
    return {
        "udhr_languages": len(right),
        "udhr_snippets": sum(map(len, right.values())),
        "udhr_accuracy": round(float(np.mean([hit for hits in right.values() for hit in hits])), 4),
        "worst": {code: round(float(np.mean(hits)), 2) for code, hits in sorted(right.items(), key=_mean)[:5]},
        "english_taken_for": {code: count for code, count in english.items() if code != "en" and count},
        "english_documents": sum(english.values()),
        "non_english_taken_for_english": codes["non_english", "en"],
        "non_english_documents": labels.count("non_english"),
        "corpus_mb_per_cpu_s": round(_megabytes(dirty) / seconds(lambda: identify(dirty)), 1),
    }


def _mean(item: tuple[str, list[bool]]) -> float:
    return float(np.mean(item[1]))


def _megabytes(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def quality(data: Path, dirty: list[str], labels: list[str]) -> dict[str, Any]:
    reviews = list(records(data / "classification/movie_reviews_2000.jsonl.zst"))
    good = [record["text"] for record in reviews if str(record["label"]) in ("1", "pos")]
    bad = [record["text"] for record in reviews if str(record["label"]) in ("0", "neg")]
    dirt = ("boilerplate", "gibberish", "html_residue", "wiki_markup_xml")
    began = time.process_time()
    hard = train_quality(good, bad)
    spent = time.process_time() - began
    easy = train_quality(
        *([t for t, k in zip(dirty, labels, strict=True) if k in kinds] for kinds in (("clean",), dirt))
    )
    scored = [TextBatch([d.text for d in group]) for group in batches(Document(text, "") for text in dirty)]
    assert all(len(batch.word_hashes) == len(batch.words) for batch in scored)  # hashed before, not on this bill
    return {
        "praise_or_not_area": [round(hard.facts.area_under_curve, 4), round(hard.facts.error, 4)],
        "clean_or_dirt_area": [round(easy.facts.area_under_curve, 5), round(easy.facts.error, 5)],
        "training_mb_per_cpu_s": round(_megabytes(good + bad) / spent, 1),
        "scoring_mb_per_cpu_s": round(_megabytes(dirty) / seconds(lambda: [hard.score(b) for b in scored]), 1),
    }


def main() -> None:
    data, config = Path(sys.argv[1]), CorpusConfig()
    raw = texts_of(data / "dirty/dirty_dev.jsonl.zst")
    labels = [record["kind"] for record in records(data / "dirty/dirty_dev_labels.jsonl.zst")]
    dirty = [clean(text, config)[0] for text in raw]
    columns = measured(dirty)
    rate = _megabytes(dirty) / seconds(lambda: measured(dirty))
    good = {
        name: texts_of(data / f"domain/{name}_train.jsonl.zst")
        for name in ("pubmed_abstracts", "us_dc_law", "python_stdlib")
    }
    good["general"] = texts_of(data / "general/val.jsonl.zst") + texts_of(data / "general/test.jsonl.zst")
    with lzma.open(data / "general/train.txt.xz", "rt", encoding="utf-8") as file:
        good["general, 60 MB of train"] = file.read(60_000_000).split("\n<|endoftext|>\n")[:-1]
    good["udhr and Chinese Wikipedia"] = texts_of(data / "multilingual/udhr_and_zhwiki.jsonl.zst")
    good["tinyshakespeare"] = [path.read_text("utf-8") for path in sorted((data / "tinyshakespeare").glob("*.txt"))]
    kinds = np.array(labels)
    found = {
        "features_mb_per_cpu_s": round(rate, 1),
        "rules_seconds": round(seconds(lambda: verdicts(columns, FilterConfig(profile="web"))), 4),
        "dirty": {
            kind: dropped({name: column[kinds == kind] for name, column in columns.items()})
            for kind in sorted(set(labels))
        },
        "good": {name: dropped(measured(texts)) for name, texts in good.items()},
        "languages": languages(data, dirty, labels),
        "quality": quality(data, dirty, labels),
    }
    print(json.dumps(found, indent=1, ensure_ascii=False), file=sys.stderr)
    print(json.dumps({"benchmark": "filters", **found}, ensure_ascii=False))


if __name__ == "__main__":
    main()
