"""Who holds which block of a paged cache: counts of holders, and whole blocks that are found again by their content.

The cache is divided into blocks of so many tokens (Kwon et al. 2023, arXiv 2309.06180). A block that is full is named
by a digest of its tokens and of all before them; another text that begins so shares it, as long as it is there. Blocks
that nobody holds are given away again, those with a name last, of them the longest unused first.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

Key = bytes
"""Names what a block holds: its tokens, and all before them."""


class Blocks:
    """Keep the books of a cache; the numbers themselves are elsewhere."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        """How many tokens a block holds."""
        self._holders = [0] * count
        self._names: dict[int, Key] = {}
        self._named: dict[Key, int] = {}
        self._empty = OrderedDict[int, None].fromkeys(range(count))
        self._kept = OrderedDict[int, None]()
        """Blocks that nobody holds and that may be found again, the longest unused first."""

    @property
    def free(self) -> int:
        """How many blocks can be taken."""
        return len(self._empty) + len(self._kept)

    @property
    def in_use(self) -> int:
        """How many blocks somebody holds."""
        return self.count - self.free

    def take(self, wished: int) -> int:
        """Give away an empty block, `wished` if it is one: neighbours in a text are best neighbours in memory too."""
        assert self.free, "more blocks were taken than there are"
        if wished in self._empty:
            block = wished
            del self._empty[block]
        elif self._empty:
            block, _ = self._empty.popitem(last=False)
        else:
            block, _ = self._kept.popitem(last=False)
            del self._named[self._names.pop(block)]
        self._holders[block] = 1
        return block

    def release(self, block: int) -> None:
        """Let go of a block; when nobody holds it, it is free, and may still be found if it has a name."""
        self._holders[block] -= 1
        assert self._holders[block] >= 0, f"block {block} was let go more often than it was taken"
        if not self._holders[block]:
            (self._kept if block in self._names else self._empty)[block] = None

    def name(self, block: int, key: Key) -> None:
        """Say what a full block holds; of blocks that hold the same, only the first is found."""
        if key not in self._named and block not in self._names:
            self._names[block], self._named[key] = key, block

    def is_known(self, key: Key) -> bool:
        """Tell whether there is a block of this name."""
        return key in self._named

    def share(self, keys: Sequence[Key]) -> list[int]:
        """Hold the blocks of these names, up to the first that there is not."""
        found = []
        for key in keys:
            if (block := self._named.get(key)) is None:
                break
            if not self._holders[block]:
                del self._kept[block]
            self._holders[block] += 1
            found.append(block)
        return found

    def holders(self, block: int) -> int:
        """Return how many texts hold a block."""
        return self._holders[block]


def key(before: Key, tokens: Sequence[int]) -> Key:
    """Name a block by its tokens and by the name of the block before it; the first has a salt in its place.

    >>> key(b"", [1, 2]) == key(b"", [1, 2]), key(b"", [1, 2]) == key(b"other", [1, 2])
    (True, False)
    """
    return blake2b(array("q", tokens).tobytes(), key=before, digest_size=16).digest()
