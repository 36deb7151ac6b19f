from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from textus.dataset.shard import DataHash, ShardWriter, TokenShard
from textus.dataset.split import TokenSplit

MakeSplit = Callable[..., TokenSplit]


@pytest.fixture(scope="session")
def make_split(tmp_path_factory: pytest.TempPathFactory) -> MakeSplit:
    """Documents of these lengths whose tokens are 1, 2, 3 ... through them all: a token says where it came from."""
    directory, names = tmp_path_factory.mktemp("shards"), count()

    def make(lengths: list[int], files: int = 1, vocab_size: int = 1 << 16) -> TokenSplit:
        ends = np.cumsum(lengths) + 1
        shards = []
        for part in np.array_split(np.arange(len(lengths)), files):
            path: Path = directory / f"{next(names)}.tokens"
            with ShardWriter(path, vocab_size, "tokenizer", 0) as writer:
                for index in part.tolist():
                    tokens = np.arange(ends[index] - lengths[index], ends[index], dtype=np.uint32)
                    writer.append(str(index), tokens, 3 * len(tokens))
            shards.append(TokenShard.open(path))
        return TokenSplit("train", shards, DataHash.of(map(str, range(len(lengths)))))

    return make
