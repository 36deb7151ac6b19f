"""What tags are worth: by words, and where tags mark entities, by whole entities.

An entity is right where its words and its kind are, as the CoNLL shared tasks count (Tjong Kim Sang and De Meulder
2003).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from textus.adaptation.measures import Measure, ratio

_ENTITY = re.compile(r"O|[BIESLU]-.+")
_INSIDE, _LAST = ("I", "E", "L"), ("E", "S", "L", "U")
"""Prefixes of what goes on with an entity, and of what ends it: IOB, IOBES and BILOU."""
Tags = Sequence[str]


def of_tags(true: Sequence[Tags], answered: Sequence[Tags]) -> dict[str, Measure]:
    """Return F1 of entities, where tags mark some, then accuracy and macro F1 of words.

    >>> found = of_tags([["B-a", "I-a", "O"], ["O", "B-b"]], [["B-a", "I-a", "O"], ["O", "B-a"]])
    >>> {name: round(measure.value, 2) for name, measure in found.items()}
    {'entity_f1': 0.5, 'accuracy': 0.8, 'macro_f1': 0.67}
    """
    assert [len(tags) for tags in true] == [len(tags) for tags in answered]
    lengths = np.array([len(tags) for tags in true], np.float64)
    right = np.array([sum(map(str.__eq__, one, other)) for one, other in zip(true, answered, strict=True)], np.float64)
    found = {"accuracy": ratio(right, lengths), "macro_f1": _macro(true, answered)}
    return ({"entity_f1": _entities(true, answered)} if marks_entities(true) else {}) | found


def marks_entities(texts: Sequence[Tags]) -> bool:
    """Tell whether tags say where an entity begins and goes on.

    >>> marks_entities([["B-person", "O"]]), marks_entities([["NOUN", "O"]]), marks_entities([["O"]])
    (True, False, False)
    """
    kinds = {tag for tags in texts for tag in tags}
    return all(_ENTITY.fullmatch(tag) for tag in kinds) and kinds != {"O"}


def spans(tags: Tags) -> set[tuple[str, int, int]]:
    """Return the kind, first word and end of each entity.

    >>> sorted(spans(["B-a", "I-a", "I-b", "O", "S-a", "I-a"]))
    [('a', 0, 2), ('a', 4, 5), ('a', 5, 6), ('b', 2, 3)]
    """
    found: set[tuple[str, int, int]] = set()
    kind, start, ended = "", -1, False
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if start < 0 or ended or prefix not in _INSIDE or name != kind:
            if start >= 0:
                found.add((kind, start, place))
            kind, start = name, -1 if prefix == "O" else place
        ended = prefix in _LAST
    return found


def _entities(true: Sequence[Tags], answered: Sequence[Tags]) -> Measure:
    pairs = [(spans(one), spans(other)) for one, other in zip(true, answered, strict=True)]
    hits = np.array([2 * len(one & other) for one, other in pairs], np.float64)
    return ratio(hits, np.array([len(one) + len(other) for one, other in pairs], np.float64))


def _macro(true: Sequence[Tags], answered: Sequence[Tags]) -> Measure:
    """Return the mean F1 over tags, with its error by linearisation over texts."""
    numbers = {tag: number for number, tag in enumerate(sorted({tag for tags in (*true, *answered) for tag in tags}))}
    hits, sizes = (np.zeros((len(true), len(numbers))) for _ in range(2))
    for row, (one, other) in enumerate(zip(true, answered, strict=True)):
        for wanted, given in zip(one, other, strict=True):
            sizes[row, numbers[wanted]] += 1
            sizes[row, numbers[given]] += 1
            hits[row, numbers[wanted]] += 2 * (wanted == given)
    total: Float[ndarray, " tags"] = sizes.sum(0)
    each = hits.sum(0) / total
    residual = ((hits - each * sizes) / total).mean(1)
    count = len(true)
    scale = count / (count - 1) if count > 1 else 1.0
    return Measure(float(each.mean()), float(np.sqrt(scale * (residual**2).sum())))
