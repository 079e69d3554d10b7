"""How a seed divides pictures that have no lists of their own: train, val and test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from yolo.data.pairing import grouped

TRAIN_SHARE, VAL_SHARE = 0.8, 0.1


def drawn(pictures: Iterable[Any], split: str, seed: int, name: Callable[[Any], str]) -> list[Any]:
    """Return the pictures, each of the name that `name` gives it, that a seed draws for a split."""
    named = grouped(pictures, name)
    return [one for key in divide(list(named), seed)[split] for one in named[key]]


def divide(names: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Divide the names of pictures into train, val and test, each by the seed and its own name."""

    def place(name: str) -> float:
        text = f"{seed}:{name}".encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(text).digest()[:8]) / 2**64

    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for name in names:
        share = place(name)
        part = "train" if share < TRAIN_SHARE else "val"
        lists["test" if share >= TRAIN_SHARE + VAL_SHARE else part].append(name)
    for part in ("val", "test", "train"):  # of a handful of pictures, none may be left empty
        largest = max(lists.values(), key=len)
        if not lists[part] and len(largest) > 1:
            name = max(largest, key=place)
            largest.remove(name)
            lists[part].append(name)
    return lists
