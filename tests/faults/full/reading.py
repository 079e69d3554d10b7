"""The child of `mutants.fuzz`: damages a good file many times and reads each mutant as we would.

    python -m tests.faults.full.reading KIND FIRST COUNT SEED FOLDER LIMIT

Mutant n follows from KIND, SEED and n alone, so that one that does harm can be made again.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.faults.full.targets import TARGETS
from yolo.errors import YoloError


def judged(read: Callable[[], object], name: str) -> str:
    """Run a reader and say what it did: "read", "refused", or what it should not have done.

    Args:
        read: the reader.
        name: what every line of a refusal must hold.
    """
    try:
        read()
    except YoloError as error:
        text = str(error)
        first, *more = text.split("\n")  # of several faults in a file there is a line for each
        if not all(name in line for line in more or [first]):
            return f"names no file: {text[:120]}"
        if len(more) > 21 or max(map(len, text.split("\n"))) > 1000:
            return f"is too long: {text[:120]!r}"
        return "refused"
    except Exception as error:  # noqa: BLE001 (that is what is looked for)
        return f"raised {type(error).__name__}: {str(error)[:120]}"
    return "read"


def main(arguments: list[str]) -> None:
    """Read mutants and write a report as JSON."""
    kind, first, count, seed, folder, limit = arguments
    target = TARGETS[kind](Path(folder))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes, worst, harm = Counter(), 0.0, []
    with (Path(folder) / f"{kind}.progress").open("r+", encoding="utf-8") as progress:
        for number in range(int(first), int(first) + int(count)):
            progress.seek(0)
            progress.write(str(number))
            progress.flush()
            rng = np.random.default_rng([int(seed), number])
            read, name = target(rng, number)
            started = time.process_time()  # what others do on this machine is not the file's fault
            outcome = judged(read, name)
            seconds = time.process_time() - started
            worst = max(worst, seconds)
            if seconds > float(limit):
                outcome = f"took more than {limit} s"
            outcomes[outcome] += 1
            if outcome not in ("read", "refused") and len(harm) < 20:
                harm.append((number, outcome))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = {"outcomes": outcomes, "seconds": worst, "megabytes": (peak - before) / 1024,
              "harm": harm}  # fmt: skip
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])
