"""Damaged files by the thousand, read in a child process that may die without loss."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests import children

# For one mutant, or the start, before its process is ended: seconds of processor time, and, for
# one that waits for something, of the clock. On a machine with other work these are far apart.
PATIENCE, WAITING = 60.0, 900.0
ROOT = Path(__file__).resolve().parents[3]
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass
class Report:
    """What became of the mutants.

    Args:
        tried: mutants read.
        outcomes: "read", "refused", or what should not be, to how often.
        worst_seconds: the most processor time that one took.
        worst_megabytes: the highest memory above that before the first mutant.
        harm: the first mutants that did harm, as (number, what).
    """

    tried: int = 0
    outcomes: Counter = field(default_factory=Counter)
    worst_seconds: float = 0.0
    worst_megabytes: float = 0.0
    harm: list = field(default_factory=list)

    @property
    def survived(self) -> int:
        """Mutants that were read or refused as they should be."""
        return self.outcomes["read"] + self.outcomes["refused"]


def fuzz(kind: str, count: int, *, seed: int, folder: Path, limit: float = 2.0) -> Report:
    """Read `count` mutants in child processes, a new one where one died.

    Args:
        kind: a name in `tests.faults.full.targets`.
        count: mutants.
        seed: decides them.
        folder: for files of the children.
        limit: seconds that one mutant may take.
    """
    report, first = Report(), 0
    progress = folder / f"{kind}.progress"
    while first < count:
        progress.write_text(str(first), encoding="utf-8")
        child = children.Child(
            [sys.executable, "-m", "tests.faults.full.reading", kind, first, count - first, seed,
             folder, limit],
            cwd=ROOT, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        ended = _watched(child, progress)
        if ended.returncode == 0:
            _add(report, json.loads(ended.stdout), count - first)
            break
        reached = int(progress.read_text(encoding="utf-8") or first)
        what = f"ended its process ({ended.returncode})"
        report.tried += reached - first + 1
        report.outcomes["read"] += reached - first
        report.outcomes[what] += 1
        report.harm.append((reached, what))
        first = reached + 1
    return report


def _watched(child: children.Child, progress: Path) -> subprocess.CompletedProcess:
    """Return how the child ended; end it where one mutant takes too long."""
    at, busy = None, 0.0
    while child.poll() is None:
        time.sleep(0.05)
        now = progress.stat().st_mtime
        if now != at:
            at, busy = now, cpu_seconds(child.pid)
        elif cpu_seconds(child.pid) - busy > PATIENCE or time.time() - at > WAITING:
            child.send_signal(signal.SIGKILL)
    return child.wait()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far; 0 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _add(report: Report, found: dict, tried: int) -> None:
    report.tried += tried
    report.outcomes.update(found["outcomes"])
    report.worst_seconds = max(report.worst_seconds, found["seconds"])
    report.worst_megabytes = max(report.worst_megabytes, found["megabytes"])
    report.harm += [tuple(entry) for entry in found["harm"]]


def mutate(data: bytes, rng: np.random.Generator, *, head: int = 200) -> bytes:
    """Damage a file: bytes, numbers, pieces; every second time near its start."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        end = min(head, len(data)) if rng.random() < 0.5 else len(data)
        place = int(rng.integers(end))
        kind = rng.integers(8)
        if kind <= 2:
            data[place] = int(rng.integers(256))
        elif kind == 3:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 4:
            order, size = "<>"[int(rng.integers(2))], "HI"[int(rng.integers(2))]
            number = NUMBERS[int(rng.integers(len(NUMBERS)))]
            number &= 0xFFFF if size == "H" else 0xFFFFFFFF
            part = struct.pack(order + size, number)
            data[place : place + len(part)] = part
        elif kind == 5:
            data = data[: int(rng.integers(len(data)))] if rng.random() < 0.3 else data
        elif kind == 6:
            length = int(rng.integers(1, 64))
            data[place:place] = data[max(0, place - length) : place]
        else:
            del data[place : place + int(rng.integers(1, 32))]
    return bytes(data)


def write(path: Path, data: bytes, number: int) -> None:
    """Write a mutant so that what is remembered of the one before is not taken for it."""
    path.write_bytes(data)
    os.utime(path, ns=(number + 1, number + 1))
