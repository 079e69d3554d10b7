"""Run the paper's ablations, or what is left of them, and write their tables.

Every run is a process of its own and one line of benchmarks/results/paper.csv; what stands there
is not run again, so that the same command goes on after an interruption.

    python -m benchmarks.paper --bccd BCCD --raccoon raccoon --weights yolov4-tiny.conv.29
    python -m benchmarks.paper --quick
    python -m benchmarks.paper --tables-only
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.paper import data, results
from benchmarks.paper.arms import ARMS, TABLES
from benchmarks.paper.plan import Run, Settings, plan, seconds
from yolo.errors import ConfigError, YoloError
from yolo.system import terminal
from yolo.system.lock import lock

DATA_SETS = ("shapes", "bccd", "raccoon")
QUICK = {"steps": 70}
MOST_FAILURES = 3  # in a row; then something is wrong with the machine, not with an arm
INTERRUPTED = 130  # exit code


class Work(NamedTuple):
    """What all runs have in common.

    Args:
        folders: where the data sets lie.
        settings: how they are trained.
        results: the CSV file.
    """

    folders: dict[str, str | None]
    settings: Settings
    results: Path


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.paper", description=__doc__.splitlines()[0]
    )
    made.add_argument("--bccd", metavar="DIR", help="BCCD in VOC format")
    made.add_argument("--raccoon", metavar="DIR", help="the raccoon data set in VOC format")
    made.add_argument(
        "--data-sets", nargs="+", choices=DATA_SETS,
        help="default: shapes, which are drawn, and those whose folder is given",
    )  # fmt: skip
    made.add_argument("--weights", metavar="FILE", help="yolov4-tiny.conv.29; default: none")
    made.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    made.add_argument("--seeds", type=int, help="how many (3; 1 with --quick)")
    for name in ("steps", "image_size", "batch_size"):
        default = getattr(Settings(), name)
        made.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"default {default}")
    made.add_argument("--precision", default="auto")
    made.add_argument(
        "--processes", type=int, default=2,
        help="runs at a time (2): one alone, of small networks, does not keep two cores busy",
    )  # fmt: skip
    made.add_argument(
        "--quick", action="store_true",
        help=f"{QUICK['steps']} steps, one seed, the most telling arms",
    )  # fmt: skip
    made.add_argument("--tables-only", action="store_true", help="rewrite docs/paper.md, no runs")
    made.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    made.add_argument("--results", type=Path, default=results.PATH, help="the CSV file")
    return made


def main(argv: list[str] | None = None) -> int:
    """Return 0, or 1 if a run failed, 130 if interrupted."""
    args = parser().parse_args(argv)
    screen = terminal.Screen()
    try:
        code = 0 if args.tables_only else _runs(args, screen.write)
        if not args.dry_run:
            for path in _write_up(args.results):
                screen.write(f"wrote {path}")
        return code
    except YoloError as error:
        screen.write(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        screen.write("interrupted; the same command goes on where this one stopped")
        return INTERRUPTED


def _write_up(path: Path) -> list[Path]:
    terminal.import_tensorflow_quietly(verbose=False)  # not before: the runs need the memory
    from benchmarks.paper import figures, tables

    drawn = figures.draw(path.parent)
    return [*drawn, tables.write(results.read(path), path.parent)]


def _runs(args, write) -> int:
    given = QUICK if args.quick else {}
    given = given | {
        name: getattr(args, name)
        for name in ("steps", "image_size", "batch_size")
        if getattr(args, name)
    }
    settings = replace(Settings(**given), weights=args.weights, precision=args.precision)
    folders = {"bccd": args.bccd, "raccoon": args.raccoon}
    sets = args.data_sets or ["shapes", *(name for name, folder in folders.items() if folder)]
    for name in sets:
        if name in folders and not folders[name]:
            raise YoloError(f"say where {name} lies: --{name} DIR")
        found = data.open_set(name, folders.get(name))
        write(f"{name}: {len(found.train)} pictures to learn from, {len(found.test)} to score on")
    seeds = args.seeds or (1 if args.quick else 3)
    wanted = plan(sets, args.tables, seeds, quick=args.quick)
    rows = results.with_settings(results.read(args.results), results.key(settings))
    left = [run for run in wanted if run not in results.finished(rows)]
    _show_plan(wanted, left, settings, rows, write)
    if args.dry_run:
        return 0
    return _do(Work(folders, settings, args.results), left, args.processes, write)


def _show_plan(wanted, left, settings: Settings, rows, write) -> None:
    total = sum(seconds(run, settings, rows) for run in left)
    models = {model: sum(ARMS[run.arm].model == model for run in left) for model in
              dict.fromkeys(ARMS[run.arm].model for run in left)}  # fmt: skip
    write(
        f"{len(wanted)} runs of {settings.steps} steps of {settings.batch_size} pictures of "
        f"{settings.image_size} pixels, {len(wanted) - len(left)} of them done; left: "
        + (", ".join(f"{count} x {model}" for model, count in models.items()) or "none")
        + f", about {_clock(total)} of processor time"
    )


def _do(work: Work, left: list[Run], processes: int, write) -> int:
    waiting = collections.deque(left)
    codes: list[int] = []

    def one_after_the_other() -> None:
        while waiting:
            try:
                first = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            code = _one(work, [first, *waiting], write)
            if code is not None:
                codes.append(code)
            if INTERRUPTED in codes:
                waiting.clear()
            elif waiting and len(codes) >= MOST_FAILURES and all(codes[-MOST_FAILURES:]):
                write(f"{MOST_FAILURES} runs failed in a row: stopping")
                waiting.clear()

    with futures.ThreadPoolExecutor(processes) as pool:
        try:
            for thread in [pool.submit(one_after_the_other) for _ in range(processes)]:
                thread.result()
        finally:
            waiting.clear()
    if INTERRUPTED in codes:
        raise KeyboardInterrupt
    return int(any(codes))


def _one(work: Work, left: list[Run], write) -> int | None:
    """Do the first of the runs that are left in a process of its own; return its exit code.

    None if somebody else does it, or did.
    """
    run, path, settings = left[0], work.results, work.settings
    with _claimed(run, path) as ours:
        rows = results.with_settings(results.read(path), results.key(settings))
        if not ours or run in results.finished(rows):
            return None
        remaining = _clock(sum(seconds(later, settings, rows) for later in left))
        write(f"{run} ({len(left)} left, {remaining} of processor time)")
        task = asdict(run) | {
            "folder": work.folders.get(run.data_set), "settings": asdict(settings),
            "results": str(path),
        }  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.paper.run", json.dumps(task)]
        code = subprocess.run(command, check=False).returncode
    if code not in (0, INTERRUPTED):
        write(f"{run}: failed (exit code {code}); nothing is written down for it")
    return code


@contextlib.contextmanager
def _claimed(run: Run, path: Path) -> Iterator[bool]:
    """Hold a run, among processes that share a results file; tell whether it is ours."""
    place = path.parent / f".{run.data_set}-{run.arm.replace(':', '-')}-{run.seed}"
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(place))
            ours = True
        except ConfigError:
            ours = False
        yield ours
    if ours:
        with contextlib.suppress(OSError):  # another may wait in it
            place.rmdir()


def _clock(seconds_: float) -> str:
    minutes = round(seconds_ / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


if __name__ == "__main__":
    sys.exit(main())
