"""Train the drawn shapes several times in processes of their own and compare all numbers.

    python -m benchmarks.repeat                          two runs and a stopped one, 3 epochs
    python -m benchmarks.repeat --runs 5 --model yolov4  more of them, of another model

Every run has the settings of `python train.py`, but for the epochs. One more gets Ctrl-C in its
second epoch and is resumed. Weights, optimizer, averages and random states of the last checkpoint
are compared to the bit with those of the first run.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from yolo.training import checkpoint

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Print how many runs ended with the first one's numbers; return 1 if one did not."""
    options = read_options()
    with tempfile.TemporaryDirectory() as name:
        folder, common = Path(name), ["--model", options.model, "--epochs", str(options.epochs)]
        names = [f"run{number}" for number in range(1, options.runs + 1)]
        for run in names:
            trained(folder, ["--name", run, *common])
        stopped(folder, ["--name", "resumed", *common])
        trained(folder, ["--resume", "logs/resumed"])
        first = numbers(folder / "logs" / names[0])
        equal = 0
        for run in [*names[1:], "resumed"]:
            other = numbers(folder / "logs" / run)
            assert first.keys() == other.keys()
            differ = [key for key in first if first[key].tobytes() != other[key].tobytes()]
            equal += not differ
            print(f"{run}: {len(differ)} of {len(first)} arrays differ", *differ[:3], flush=True)
    print(
        f"{options.model}, {options.epochs} epochs: {equal} of {options.runs} equal the first run"
    )
    return int(equal < options.runs)


def read_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", default="yolov4-tiny", help="which detector")
    parser.add_argument("--epochs", type=int, default=3, help="of each run, at least 2")
    parser.add_argument("--runs", type=int, default=2, help="unbroken runs, at least 1")
    return parser.parse_args()


def command(arguments: list[str]) -> list[str]:
    """Return `train.py`'s command line."""
    return [sys.executable, str(ROOT / "train.py"), *arguments]


def trained(folder: Path, arguments: list[str]) -> None:
    """Train to the end in a folder."""
    done = subprocess.run(command(arguments), cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode("utf-8", "replace"))


def stopped(folder: Path, arguments: list[str]) -> None:
    """Train until the first epoch is over, and send Ctrl-C."""
    with subprocess.Popen(
        command(arguments), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith(b"epoch 1/"):
                break
        run.send_signal(signal.SIGINT)
        rest = run.communicate()[0]
    if run.returncode != 128 + signal.SIGINT:
        raise SystemExit(f"exit code {run.returncode}, not 130: {rest.decode('utf-8', 'replace')}")


def numbers(folder: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a run's newest checkpoint."""
    found = checkpoint.newest(folder)
    assert found is not None, f"{folder} has no checkpoint"
    return found[1]


if __name__ == "__main__":
    sys.exit(main())
