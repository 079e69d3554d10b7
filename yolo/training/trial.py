"""A short training in a process of its own: memory that runs out ends that process, not ours."""

from __future__ import annotations

import dataclasses
import math
import pickle
import re
import signal
import subprocess
import sys
import tempfile

from yolo.data.folder import TrainingData
from yolo.errors import OutOfMemory, YoloError
from yolo.pictures import background
from yolo.pictures.color import parse_color
from yolo.pictures.header import allow_megapixels
from yolo.settings.train import TrainConfig
from yolo.system import process as child

STEPS = 2  # with the optimizer's variables made and used
SPARE = 1.25  # times the batch: what two steps just fit into may be too little for a run
OTHER_FAULT = 78  # exit code for what has nothing to do with memory
WANT_OF_MEMORY = 79  # exit code for what the training itself took for it
# How the last line of a process reads that ended for it in another way: arrays, tensors, threads
# that cannot be started, libraries that cannot be mapped, files of the system's.
SIGNS = ("memoryerror", "outofmemory", "resourceexhausted", "can't start new thread",
         "failed to map segment", "cannot allocate memory")  # fmt: skip

_REMARK = re.compile(r"[IW]\d{4} [\d:.]+ |WARNING: All log messages before absl")


def want_of_memory(config: TrainConfig, data: TrainingData) -> str | None:
    """Tell whether a few steps of a run fit into memory, by taking them.

    On a processor TensorFlow, or the system, often ends a process for want of memory before
    anything can be said or tried again.

    Returns:
        How the steps ended for want of memory, or None: they were taken, or failed for another
        reason, which the run will name.
    """
    code, last_words = take_steps(config, data)
    if code < 0:
        return " ".join(filter(None, [f"ended by {signal.Signals(-code).name}", last_words]))
    if code == WANT_OF_MEMORY or (code not in (0, OTHER_FAULT) and _tells_of_memory(last_words)):
        return last_words
    return None


def take_steps(config: TrainConfig, data: TrainingData) -> tuple[int, str]:
    """Take the first steps on the pictures with most objects, in a child process.

    The batches are by a quarter larger than the run's.

    Returns:
        The child's exit code and the last line that it wrote to standard error.
    """
    config = dataclasses.replace(
        config,
        batch_size=math.ceil(SPARE * config.batch_size),
        freeze_batch_size=math.ceil(SPARE * (config.freeze_batch_size or 0)) or None,
    )
    pictures = STEPS * max(config.batch_size, config.freeze_batch_size or 0)
    few = sorted(data.train, key=lambda sample: -len(sample.class_ids))[:pictures]
    few *= -(-pictures // len(few))
    data = dataclasses.replace(data, train=few, val=few, test=[], divided={})
    with subprocess.Popen(
        child.command(__name__),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            _, words = process.communicate(pickle.dumps((config, data)))
        finally:
            process.kill()  # where a signal ends us meanwhile
    return process.returncode, _last_line(words.decode(errors="replace"))


def _last_line(words: str) -> str:
    """Return the last line that is none of TensorFlow's remarks, as "I0000 00:00:17... file]"."""
    lines = [line.strip() for line in words.split("\n")]
    return next((line for line in reversed(lines) if line and not _REMARK.match(line)), "")


def serve() -> None:
    """Take the steps that standard input describes; end with an exit code."""
    config, data = pickle.load(sys.stdin.buffer)  # noqa: S301, from our own parent
    allow_megapixels(config.max_megapixels)
    background.show_on(parse_color(config.background))
    from yolo.data.pipeline import steps_per_epoch
    from yolo.training import run_folder, trainer

    frozen = min(config.freeze_epochs, 1)
    sizes = (config.batch_size, config.freeze_batch_size or config.batch_size)
    steps = min(steps_per_epoch(len(data.train), size) for size in sizes)
    with tempfile.TemporaryDirectory() as folder:
        config = dataclasses.replace(
            config, freeze_epochs=frozen, epochs=frozen + 1, init_epoch=0, save_dir=folder,
            name="trial", epochs_between_evaluations=min(config.epochs_between_evaluations, 1),
            tensorboard=False, accumulate=min(config.accumulate, steps),
        )  # fmt: skip
        try:
            trainer.train(config, data, run_folder.create(config))
        except OutOfMemory as error:
            sys.stderr.write(error.what)  # its advice is for a run
            sys.exit(WANT_OF_MEMORY)
        except YoloError as error:
            if _tells_of_memory(str(error)):
                raise
            sys.exit(OTHER_FAULT)


def _tells_of_memory(words: str) -> bool:
    return any(sign in words.lower() for sign in SIGNS)
