"""Run the cases of a group in turn, each in its own process, and sum up what they took."""

from __future__ import annotations

import contextlib
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from benchmarks.plan import Group, Options

ROUNDS = 7
SECONDS_A_GROUP = 240.0


class Worker:
    """A process that serves one case; what it says on standard error is kept for its end.

    Args:
        name: of the case.
        command: its command line.
    """

    def __init__(self, name: str, command: list[str]):
        self.name, self.missing, self.ready = name, "", {}
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said,
            encoding="utf-8", errors="replace",
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Read the first answer, and note why there is none."""
        self.ready = self._read()
        self.missing = self.ready.get("missing", "")

    def ask(self, what: str) -> dict:
        """Send a line and return the answer; {} if the process has ended."""
        try:
            self.process.stdin.write(what + "\n")
            self.process.stdin.flush()
        except OSError:
            return self._read()
        return self._read()

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.said.seek(0)
        # TensorFlow's chatter comes first, the reason last.
        said = [text for text in self.said.read().splitlines() if text.strip()]
        reason = f"ended with code {code}: {said[-1][:300] if said else 'silent'}"
        return {"missing": reason, "code": code}

    def end(self) -> None:
        """Let the process end."""
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()


def commands(group: Group, options: Options, peers: dict[str, str]) -> Iterator[tuple]:
    """Yield (case, command line) for a group's own cases and for the peers.

    Args:
        group: the group.
        options: for the own cases.
        peers: name to command, which gets the group's name as its last argument.
    """
    for case in group.cases:
        yield case, own_command(group.section, f"{group.what}; {case}", options)
    for name, command in peers.items():
        yield name, [*shlex.split(command), group.name]


def own_command(section: str, case: str, options: Options) -> list[str]:
    """Return the command line of `benchmarks.worker`."""
    given = json.dumps(options._asdict())
    return [sys.executable, "-m", "benchmarks.worker", section, case, given]


def measure(
    group: Group, options: Options, peers: dict[str, str], *, rounds: int, seconds: float,
    write: Callable[[str], None],
) -> dict:  # fmt: skip
    """Run the cases of a group in turn and return their row of results each.

    Args:
        group: what to run.
        options: for the cases.
        peers: name to command of programs to run beside.
        rounds: how often each case runs, at most.
        seconds: after so many no new round begins; three rounds there are in any case.
        write: called with lines for people.

    Returns:
        Case to {"seconds", "low", "high", "processor": for one unit; "ratio", ...: to the case
        that it is compared with, round by round; "peak_mb"; "gflops"}.
    """
    workers = [Worker(*one) for one in commands(group, options, peers)]
    try:
        for worker in workers:
            worker.wait_until_ready()
            # A peer may have nothing for a group; one that broke down must not be taken for that.
            if worker.missing and (worker.name in group.cases or "code" in worker.ready):
                write(f"{worker.name}: left out, {worker.missing}")
        found = [worker for worker in workers if not worker.missing]
        times = _rounds(found, rounds, seconds)
        peaks = {
            worker.name: worker.ask("memory").get("peak_mb") for worker in found if group.memory
        }
    finally:
        for worker in workers:
            worker.end()
    rows = {}
    for worker in found:
        if times.get(worker.name):
            rows[worker.name] = _row(group, worker, times)
            if peaks.get(worker.name) is not None:
                rows[worker.name]["peak_mb"] = round(peaks[worker.name], 1)
    _compare_memory(group, rows)
    return rows


def _rounds(workers: list[Worker], rounds: int, seconds: float) -> dict[str, list]:
    """Return for each case (seconds, processor seconds) of every round, for one unit."""
    times = {worker.name: [] for worker in workers}
    started = time.monotonic()
    for number in range(rounds):
        if number >= 3 and time.monotonic() - started > seconds:
            break
        for worker in workers:
            answer = worker.ask("run")
            if "seconds" not in answer:
                raise RuntimeError(f"{worker.name}: {answer.get('missing', answer)}")
            units = worker.ready.get("units", 1)
            processor = answer.get("processor")
            times[worker.name].append(
                (answer["seconds"] / units, None if processor is None else processor / units)
            )
    return times


def _row(group: Group, worker: Worker, times: dict[str, list]) -> dict:
    own = times[worker.name]
    wall = [one[0] for one in own]
    row = {
        "unit": group.unit,
        "rounds": len(own),
        "seconds": statistics.median(wall),
        "low": min(wall),
        "high": max(wall),
    }
    if own[0][1] is not None:
        row["processor"] = statistics.median(one[1] for one in own)
    if flop := worker.ready.get("flop"):
        row["gflops"] = flop / worker.ready["units"] / row["seconds"] / 1e9
    other = group.reference(worker.name, times)
    if other in times and other != worker.name:
        row["of"] = other
        row |= spread("ratio", [a[0] / b[0] for a, b in zip(own, times[other], strict=True)])
        if own[0][1] and times[other][0][1]:
            pairs = zip(own, times[other], strict=True)
            row |= spread("processor_ratio", [a[1] / b[1] for a, b in pairs if b[1]])
        limit = group.limits.get(worker.name)
        if limit is not None and limit.of == other:
            row["limit"] = limit.time
    return row


def spread(name: str, values: list[float]) -> dict:
    """Return the median of values, and their least and greatest, under names that begin alike."""
    return {
        name: statistics.median(values),
        f"{name}_low": min(values),
        f"{name}_high": max(values),
    }


def _compare_memory(group: Group, rows: dict) -> None:
    for case, row in rows.items():
        other = rows.get(group.reference(case, rows), {})
        if row.get("peak_mb") and other.get("peak_mb") and other is not row:
            row["memory_ratio"] = row["peak_mb"] / other["peak_mb"]
            limit = group.limits.get(case)
            if limit is not None and limit.memory is not None and limit.of == row["of"]:
                row["memory_limit"] = limit.memory
