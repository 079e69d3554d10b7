"""Lines of long work that are kept while it goes on, so that it need not be done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from yolo.errors import YoloError


def kept_lines(
    place: Path | None, of: str, compute: Callable[[int], Iterator[bytes]]
) -> Iterator[bytes]:
    r"""Yield the lines of some work, those first that a run of it which was killed has left.

    Args:
        place: the file that keeps them; None keeps nothing.
        of: what the lines follow from. Those of other work are forgotten.
        compute: yields all lines but so many of the first, each with its end.

    Raises:
        YoloError: the file cannot be written.

    Example:
        >>> list(kept_lines(None, "", lambda done: iter([b"one\n", b"two\n"])))
        [b'one\n', b'two\n']
    """
    if place is None:
        yield from compute(0)
        return
    head = hashlib.sha256(of.encode("utf-8", "surrogateescape")).hexdigest().encode() + b"\n"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        file = place.open("a+b")
    except OSError as error:
        raise YoloError(f"{place}: cannot be written ({error.strerror})") from error
    with file:
        file.seek(0)
        done, whole = 0, len(head) if file.readline() == head else 0
        while whole and (line := file.readline()).endswith(b"\n"):  # the last may be cut
            yield line
            done, whole = done + 1, whole + len(line)
        file.truncate(whole)
        new = b"" if whole else head
        for line in compute(done):
            try:
                file.write(new + line)
                file.flush()
            except OSError as error:
                raise YoloError(f"{place}: cannot be written ({error.strerror})") from error
            new = b""
            yield line
