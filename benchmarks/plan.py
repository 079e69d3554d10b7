"""What is measured: groups of cases that run in turn, and the limits they shall keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class Limit(NamedTuple):
    """At most this share of another case's time, or of its memory, for the same amount of work.

    Args:
        of: name of the other case.
        time: largest ratio of the times.
        memory: largest ratio of the peaks of memory; None for no limit.
    """

    of: str
    time: float
    memory: float | None = None


@dataclass(frozen=True)
class Group:
    """Cases that do comparable work; one run of each makes a round.

    Args:
        name: "section: what", unique.
        unit: what a case counts, such as "pictures".
        cases: their names; each runs in a process of its own. What no limit says is compared
            with the first.
        limits: for a case, what it shall reach.
        memory: whether peak memory says something here.
    """

    name: str
    unit: str
    cases: tuple[str, ...]
    limits: dict[str, Limit] = field(default_factory=dict)
    memory: bool = False

    @property
    def section(self) -> str:
        """The module that prepares the cases."""
        return self.name.partition(": ")[0]

    @property
    def what(self) -> str:
        """The rest of the name."""
        return self.name.partition(": ")[2]

    def reference(self, case: str, there) -> str:
        """Return the case that `case` is compared with, among those that are there."""
        if case in self.limits and self.limits[case].of in there:
            return self.limits[case].of
        return self.cases[0]


class Took(NamedTuple):
    """Seconds by the clock, and those of all processor cores."""

    seconds: float
    processor: float


class Ready(NamedTuple):
    """A case that is ready to run.

    Args:
        run: does the work once; may return a `Took`, where not all of it counts.
        units: how much of the group's unit one run does.
        flop: floating-point operations of one run, 0 where nobody counted.
    """

    run: Callable[[], object]
    units: float
    flop: float = 0.0


def timed(work: Callable[[], object]) -> Took:
    """Do some work; return how long it took."""
    started, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - started, time.process_time() - processor)


class Options(NamedTuple):
    """What the command line says about the cases.

    Args:
        folder: where data and models that were made for the benchmark lie.
        data: a VOC folder, "" for drawn pictures.
        weights: Darknet's yolov4-tiny.weights, "" for fresh ones.
        shrink: divides the amounts of work, for a first look and for tests.
    """

    folder: str
    data: str = ""
    weights: str = ""
    shrink: int = 1


class Missing(Exception):
    """A case cannot run here; the message says what is missing."""
