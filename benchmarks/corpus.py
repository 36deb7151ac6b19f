"""Preparing a corpus: megabytes of UTF-8 text a CPU second, by step, beside datatrove and tokenizers on the same text.

python benchmarks/corpus.py DATA [--peer PYTHON] [--peer-mb 5] [--mb 200] [--series 20 200 2000]

DATA is the folder that holds general/ and dirty/; PYTHON an interpreter with datatrove 0.10, tokenizers and spaCy. Each
measurement is a process with one worker, and its CPU seconds are all that it and its children took since Python began.
datatrove is slow: it gets the first `--peer-mb` of each text, and all its filters see every document, so that its work
is that of our one pass. `--series` adds texts of several sizes: the same text again, with a third of its words changed
in each copy, so that memory and time can be seen to grow with text that is not all the same.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SEPARATOR = "<|endoftext|>"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
BANDS, ROWS, WORDS = 28, 4, 5


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path)
    made.add_argument("--peer", default="", metavar="PYTHON")
    made.add_argument("--peer-mb", type=float, default=5)
    made.add_argument("--mb", type=float, default=200)
    made.add_argument("--series", type=float, nargs="*", default=[])
    made.add_argument("--child", choices=sorted(CHILDREN), help=argparse.SUPPRESS)
    options = made.parse_args()
    if options.child:
        CHILDREN[options.child](options.data)
        return
    with tempfile.TemporaryDirectory() as name:
        found = measured(options, Path(name))
    print(json.dumps({"benchmark": "corpus", **found}))


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run every measurement in a process of its own."""
    general, dirty = folder / "general.txt", folder / "dirty.jsonl"
    with lzma.open(options.data / "general/train.txt.xz") as packed, general.open("wb") as file:
        copy(packed, file, int(options.mb * 1e6))
    import zstandard

    with (options.data / "dirty/dirty_dev.jsonl.zst").open("rb") as packed, dirty.open("wb") as file:
        zstandard.ZstdDecompressor().copy_stream(packed, file)
    found: dict[str, Any] = {}
    for path in (dirty, general):
        row = found[path.stem] = {"textus": child("clean", path), "textus, parts": child("parts", path)}
        say(path.stem, row)
        if options.peer:
            some = sample(path, folder / f"some_{path.stem}.jsonl", int(options.peer_mb * 1e6))
            row["textus, the peer's part"] = child("clean", some)
            row["peer"] = child("peer", some, options.peer)
            row["times as fast"] = round(row["textus"]["mb_per_cpu_s"] / row["peer"]["mb_per_cpu_s"], 1)
            say(path.stem, row)
    if options.series:
        found["series"] = series(general, folder, options.series)
    return found


def series(general: Path, folder: Path, sizes: list[float]) -> dict[str, Any]:
    rows = []
    for size in sizes:
        path = folder / f"series_{size:g}.txt"
        grow(general, path, int(size * 1e6))
        rows.append(child("clean", path))
        path.unlink()
        say(f"{size:g} MB", rows[-1])
    points = [(math.log(row["mb"]), math.log(row["cpu_s"])) for row in rows]
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    over = sum((one - x) ** 2 for one, _ in points)
    slope = sum((one - x) * (other - y) for one, other in points) / over if over else float("nan")
    return {"rows": rows, "slope of log time on log size": round(slope, 3)}


def child(what: str, path: Path, python: str = sys.executable) -> dict[str, Any]:
    """Run one measurement in a process of its own, and add what that process took."""
    command = [python, __file__, str(path), "--child", what]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD})
    row: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return row


def say(name: str, row: Any) -> None:
    print(name, json.dumps(row, indent=1), file=sys.stderr, flush=True)


def copy(source: Any, target: Any, most: int) -> None:
    """Copy whole lines, to about so many bytes."""
    for line in source:
        most -= len(line)
        if most < 0:
            break
        target.write(line)


def sample(path: Path, place: Path, most: int) -> Path:
    """Write the first documents of a text as JSON lines."""
    with place.open("w", encoding="utf-8") as file:
        for text in texts_of(path):
            most -= len(text.encode("utf-8", "surrogatepass"))
            if most < 0:
                break
            file.write(json.dumps({"text": text}) + "\n")
    return place


def texts_of(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        if path.suffix == ".jsonl":
            yield from (json.loads(line)["text"] for line in file)
            return
        lines: list[str] = []
        for line in file:
            if line.strip() == SEPARATOR:
                yield "".join(lines)
                lines = []
            else:
                lines.append(line)
        yield "".join(lines)


def grow(general: Path, place: Path, size: int) -> None:
    """Write a text of some size: the given one, then copies of it in which every third word has another letter."""
    import numpy as np

    text = np.fromfile(general, np.uint8)
    is_letter = (text >= ord("a")) & (text <= ord("z"))
    starts = np.flatnonzero(is_letter[1:] & (text[:-1] == ord(" "))) + 1
    with place.open("wb") as file:
        for seed in range(-(-size // len(text))):
            one = text.copy()
            if seed:
                draw = np.random.default_rng(seed)
                changed = starts[draw.random(len(starts)) < 1 / 3]
                one[changed] = draw.integers(ord("a"), ord("z") + 1, len(changed))
            copy(io.BytesIO(one.tobytes()), file, size - file.tell())


# In a process of its own.


def told(found: dict[str, Any], num_bytes: int) -> None:
    """Print what was measured, with what this process and its children have taken so far."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    whole = {
        "mb": round(num_bytes / 1e6, 2),
        "cpu_s": round(seconds, 2),
        "mb_per_cpu_s": round(num_bytes / 1e6 / seconds, 2),
        "peak_mb": round(peak_bytes() / 1e6),
    }
    print(json.dumps({**whole, **found}))


def peak_bytes() -> float:
    """Return the most memory that this process has had; what `getrusage` says includes its parent's before it began."""
    status = Path("/proc/self/status").read_text("ascii")
    return 1024 * float(status.partition("VmHWM:")[2].split()[0])


class Clock:
    """Add up the CPU seconds of parts by name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def __call__(self, name: str, job: Callable[..., Any]) -> Callable[..., Any]:
        """Return `job`, timed."""

        def timed(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return job(*given, **named)
            finally:
                self.seconds[name] += time.process_time() - began

        return timed

    def rates(self, num_bytes: int) -> dict[str, float]:
        """Return the megabytes a second of each part."""
        return {name: round(num_bytes / 1e6 / seconds, 1) for name, seconds in self.seconds.items() if seconds > 0}


def clean(path: Path) -> None:
    """Make a corpus with one worker; time the steps, and the parts of the first."""
    from textus.corpus.config import CorpusConfig
    from textus.corpus.pipeline import build
    from textus.corpus.steps import measure
    from textus.corpus.work import carriers
    from textus.corpus.work.config import WorkConfig

    began = time.process_time()
    steps, parts = Clock(), Clock()
    perform = carriers.perform
    carriers.perform = lambda task: steps(task.place.parent.name if task.kind == "work" else "seal", perform)(task)
    for name, words in (
        ("features", "features"),
        ("identify", "language"),
        ("count", "privacy"),
        ("keys_of", "signatures"),
        ("content_digests", "digests"),
        ("candidate_lines", "lines"),
    ):
        setattr(measure, name, parts(words, getattr(measure, name)))
    measure.Repairs.repaired = parts("repair", measure.Repairs.repaired)
    with tempfile.TemporaryDirectory(dir=path.parent) as out:
        corpus = build([path], Path(out) / "corpus", CorpusConfig(work=WorkConfig(workers=1)))
        record = json.loads((corpus.directory / "report.json").read_text("utf-8"))
    num_bytes = sum(source["read"]["bytes"] for source in record["sources"].values())
    parts.seconds["read, write"] = steps.seconds["measured"] - sum(parts.seconds.values())
    counts = {
        "documents": record["documents"]["read"],
        "kept": record["documents"]["kept"],
        "start_cpu_s": round(began, 2),
    }
    told({**counts, "steps": steps.rates(num_bytes), "parts of measured": parts.rates(num_bytes)}, num_bytes)


def parts(path: Path) -> None:
    """Deduplicate and tokenize alone: from texts in memory to the pairs that are alike, and to tokens."""
    import numpy as np

    from textus.corpus.batch import text_batches
    from textus.corpus.deduplicate import content_digests
    from textus.corpus.duplicates.candidates import candidate_pairs, merged
    from textus.corpus.duplicates.config import DuplicatesConfig
    from textus.corpus.duplicates.minhash import keys_of
    from textus.corpus.duplicates.verify import distinct, kept_bits, overlaps
    from textus.tokenizer.config import TokenizerConfig
    from textus.tokenizer.train import train_tokenizer

    texts = list(texts_of(path))
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    num_bytes, clock, config = sum(sizes), Clock(), DuplicatesConfig(bands=BANDS, rows=ROWS, words=WORDS)

    def sign() -> tuple[Any, Any]:
        keys, runs, sizes = [], [], [np.zeros(1, np.int64)]
        for batch in text_batches(texts):
            hashes, offsets = batch.ngrams(WORDS)
            keys.append(keys_of(hashes, offsets, config))
            runs.append(kept_bits(hashes))
            sizes.append(np.diff(offsets))
        np.unique(np.frombuffer(content_digests(text.encode("utf-8", "surrogatepass") for text in texts), "S16"))
        return np.concatenate(keys), (np.concatenate(runs), np.cumsum(np.concatenate(sizes)))

    def compare(keys: Any, runs: Any, offsets: Any) -> Any:
        pairs = merged(candidate_pairs(column, np.arange(len(texts)), config) for column in keys.T)
        numbers, places = np.unique(pairs, return_inverse=True)
        own = [runs[offsets[number] : offsets[number + 1]] for number in numbers.tolist()]
        sets = distinct(np.concatenate(own), np.cumsum([0, *map(len, own)]))
        return overlaps(places.reshape(-1, 2), *sets)

    keys, runs = clock("signatures and digests", sign)()
    found = clock("candidates and their comparison", compare)(keys, *runs)
    some, most = [], 10_000_000
    for text, size in zip(texts, sizes, strict=True):
        some.append(text)
        most -= size
        if most < 0:
            break
    counting = TokenizerConfig(vocab_size=16384)
    tokenizer = clock("learn a vocabulary", train_tokenizer)(some, counting, sum(map(len, some)))
    learning = clock.seconds.pop("learn a vocabulary")

    def tokenize() -> int:
        tokenizer.use("auto")  # loads an engine and holds its tokens against those of `tokenizers`
        return sum(len(ids) for ids in tokenizer.encode_batch(texts))

    tokens = clock("tokenize", tokenize)()
    rates = clock.rates(num_bytes)
    together = round(num_bytes / 1e6 / sum(clock.seconds.values()), 2)
    row: dict[str, Any] = {"pairs": len(found), "tokens": tokens, **rates, "deduplicate and tokenize": together}
    row |= {"encoder": tokenizer.encoder, "learning 16384 tokens from 10 MB, cpu_s": round(learning, 2)}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        row["tokenizers.encode_batch, 10 MB"] = peer_tokenize(some, Path(folder) / "tokenizer.json")
    told(row, num_bytes)


def peer_tokenize(texts: list[str], file: Path) -> float:
    """Encode with the library `tokenizers`, and the same vocabulary."""
    from tokenizers import Tokenizer

    tokenizer, clock = Tokenizer.from_file(str(file)), Clock()
    encode = clock("tokenize", tokenizer.encode_batch)
    for start in range(0, len(texts), 1000):
        encode(texts[start : start + 1000], add_special_tokens=False)
    return clock.rates(sum(len(text.encode("utf-8", "surrogatepass")) for text in texts))["tokenize"]


def peer(path: Path) -> None:
    """Do with datatrove what it offers of the same work: rules on quality, then MinHash in its four stages."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    clock, folder = Clock(), path.parent / f"peer_{path.stem}"
    filters = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]

    def judged(documents: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Ask every filter about every document, and let all go on."""
        for document in documents:
            text = document.text
            for one in filters:
                clock(type(one).__name__, one.filter)(document)
                document.text = text  # one of them cuts lines out
            yield document

    config = MinhashConfig(n_grams=WORDS, num_buckets=BANDS, hashes_per_bucket=ROWS)
    places = {name: str(folder / name) for name in ("read", "signatures", "buckets", "clusters", "kept")}

    def run(name: str, pipeline: list[Any], tasks: int = 1) -> None:
        executor = LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(folder / "logs" / name))
        clock(name, executor.run)()

    reader = JsonlReader(str(path.parent), glob_pattern=path.name)
    run("read, filters and write", [reader, judged, JsonlWriter(places["read"], compression=None)])
    reader = JsonlReader(places["read"])
    run("signatures", [reader, MinhashDedupSignature(places["signatures"], config)])
    run("buckets", [MinhashDedupBuckets(places["signatures"], places["buckets"], config=config)], BANDS)
    run("clusters", [MinhashDedupCluster(places["buckets"], places["clusters"], config=config)])
    drop = MinhashDedupFilter(places["clusters"])
    run("drop", [reader, drop, JsonlWriter(places["kept"], compression=None)])
    num_bytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts_of(path))
    told({"steps": clock.rates(num_bytes)}, num_bytes)


CHILDREN = {"clean": clean, "parts": parts, "peer": peer}

if __name__ == "__main__":
    main()
