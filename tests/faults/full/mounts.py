"""Real file systems that are full or read-only, mounted for one process (Linux, util-linux)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.faults.full.toy import Meter, Toy, assert_one_line, weights_of

# A file system in memory of $1 kB at $2 with a copy of the run $3, mounted again as $4 says, for
# the command that follows; what is there at its end is copied to $5.
_SCRIPT = """
mount -t tmpfs -o size=$1k none "$2" && cp -a "$3" "$2/run" && mount -o remount,$4 "$2" || exit 99
place=$2 after=$5; shift 5
"$@"; code=$?
cp -a "$place/run" "$after"; exit $code
"""


def possible() -> bool:
    """Tell whether this user may mount something in a name space of its own."""
    try:
        return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def trial(toy: Toy, start: Path, name: str, kilobytes: int, way: str):
    """Resume a copy of a run on a file system of its own; return the outcome and what is left.

    Args:
        toy: the training.
        start: the run's folder.
        name: of the trial.
        kilobytes: the file system's size.
        way: "rw" or "ro".
    """
    place, after = toy.work / f"mount-{name}", toy.work / f"after-{name}"
    place.mkdir()
    within = ["unshare", "-rm", "sh", "-c", _SCRIPT, "sh", kilobytes, place, start, way, after]
    return toy.command("--resume", place / "run", within=[str(part) for part in within]), after


def contents(folder: Path) -> dict:
    """Return the models, tables and checkpoints of a run: what a fault must leave as it was."""
    names = ("best.keras", "last.keras", "results.csv", "checkpoints/*/*")
    return {
        path.relative_to(folder): path.read_bytes() for name in names for path in folder.glob(name)
    }


def full(toy: Toy, start: Path, quick: bool):
    """T4 on a file system that fills up during a save, at different places of it."""
    meter = Meter("T4 a full file system")
    pages = sum(-(-path.stat().st_size // 4096) + 1 for path in start.rglob("*"))
    for number in range(1 if quick else 10):
        with meter.trial(str(number)):
            size = 4 * (pages + 1 + (8 if quick else 6 * number))
            ended, after = trial(toy, start, f"full-{number}", size, "rw")
            assert_one_line(ended, (1, 2), "cannot be written .No space left on device.")
            _assert_whole(after)
            if not quick:
                toy.train(after)
                assert weights_of(after) == toy.reference
    return meter.row()._replace(worst_megabytes=None)


def _assert_whole(folder: Path) -> None:
    """Demand that what stands in a run's folder is whole: it may have come further before."""
    from yolo.training import checkpoint, run_folder
    from yolo.weights import loading

    steps = run_folder.checkpoint_steps(folder)
    found = checkpoint.newest(folder)
    assert found is not None and found[0].step == steps[-1], "a half checkpoint"
    for path in folder.glob("*.keras"):
        loading.load(path)
    assert (folder / "last.keras").exists() and (folder / "results.csv").exists()


def read_only(toy: Toy, start: Path):
    """T12 on a file system that is mounted read-only."""
    meter, before = Meter("T12 a read-only file system"), contents(start)
    with meter.trial():
        ended, after = trial(toy, start, "read-only", 1 << 16, "ro")
        assert_one_line(ended, 2, "cannot be written .Read-only file system.")
        assert contents(after) == before, "a good file changed"
    return meter.row()._replace(worst_megabytes=None)
