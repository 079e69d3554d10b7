"""What TensorFlow's oneDNN gives here: steps and predictions in turns, with it off and on.

    python -m benchmarks.onednn                             yolov4-tiny, yolov4 and retinanet-r50
    export ONEDNN_MAX_CPU_ISA=AVX2 XLA_FLAGS=--xla_cpu_max_isa=AVX2
    python -m benchmarks.onednn --flags avx2,fma            as on a processor without AVX-512

Eigen's own kernels are not held back by that. Each case is a process of its own; the first line of
a table has oneDNN off and all ratios are to it, round by round, by the processor's time, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys

from benchmarks.plan import timed
from benchmarks.runner import Worker
from yolo.system import processor

MODELS = {"yolov4-tiny": (8, 416), "yolov4": (2, 416), "retinanet-r50": (2, 512)}  # of a step
JOBS = ("step", "detect")


def main() -> int:
    """Measure and print; or, with --case, serve one case to the process that measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flags", default="", help="of the processor to pretend, avx2,fma")
    parser.add_argument("--case", nargs=2, metavar=("MODEL", "JOB"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        return serve(*options.case, options.flags)
    for model in options.models:
        for job in JOBS:
            table(model, job, options)
    return 0


def table(model: str, job: str, options: argparse.Namespace) -> None:
    """Print the times of a model's job with oneDNN off and on."""
    command = [sys.executable, "-m", "benchmarks.onednn", "--flags", options.flags]
    workers = []
    for told in "01":
        os.environ[processor.SWITCH] = told  # read by the processes when they start
        workers.append(Worker(told, [*command, "--case", model, job]))
    try:
        for worker in workers:
            worker.wait_until_ready()
        times = [[worker.ask("run") for worker in workers] for _ in range(options.rounds)]
    finally:
        for worker in workers:
            worker.end()
    print(f"{model}, {job}")
    for number, name in enumerate(("off", "on")):
        seconds = statistics.median(one[number]["seconds"] for one in times)
        ratios = [
            statistics.median(one[number][what] / one[0][what] for one in times)
            for what in ("seconds", "processor")
        ]
        print(f"  {name:3} {1000 * seconds:8.1f} ms  {ratios[0]:.2f}  processor {ratios[1]:.2f}")


def serve(model: str, job: str, flags: str) -> int:
    """Answer as `benchmarks.worker` does, for one job."""
    import json

    if flags:
        processor.flags = lambda: frozenset(flags.split(","))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    run = _job(model, job)
    for _ in range(3):
        run()
    print(json.dumps({"units": 1}), file=answers, flush=True)
    for _ in sys.stdin:
        seconds, taken = timed(run)
        print(json.dumps({"seconds": seconds, "processor": taken}), file=answers, flush=True)
    return 0


def _job(model: str, job: str):
    from benchmarks.training import CLASSES, batch_of, step
    from yolo import zoo

    batch, side = MODELS[model]
    if job == "step":
        return step(model, batch, side, "float32").run
    detector = zoo.build(model, classes=CLASSES, image_size=(side, side))
    image = batch_of(1, side)[0]
    return lambda: detector.detect(image)


if __name__ == "__main__":
    sys.exit(main())
