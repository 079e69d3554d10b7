"""How a run goes about it: what it measures and keeps, where, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.models.option import option

_option = partial(option, group="run")


@dataclass(frozen=True)
class RunSettings:
    """What is measured, what is kept, and the machine."""

    epochs_between_evaluations: int = _option(
        5,
        "epochs from one mAP measurement to the next; 0: only at the end (eval_flag, eval_period)",
        within=(0, 10**6),
    )
    patience: int = _option(
        0, "stop after this many measurements without a better mAP; 0: never", within=(0, 10**6)
    )
    save_period: int = _option(
        0, "also keep the model of every so manieth epoch; 0: only best and last", within=(0, 10**6)
    )
    save_dir: str = _option("logs", "folder for runs", metavar="DIR")
    name: str | None = _option(None, "name of the run's folder", default_text="date and time")
    seed: int = _option(
        11, "order, augmentation and fresh weights follow from it", within=(0, 2**31 - 1)
    )
    precision: str = _option(
        "auto",
        "auto: bfloat16 where the processor is fast at it",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    gpus: str | None = _option(
        None, "GPUs to use: 0 or 0,1; none: the processor (train_gpu)", default_text="all"
    )
    devices: str | None = _option(
        None,
        "how many devices share every batch, or all: GPUs, or without any parts of the processor",
        default_text="all GPUs, or the processor",
    )
    sync_norm: bool = _option(
        True, "take batch norm's statistics over the pictures of all devices, not of each alone"
    )
    loader_threads: int = _option(
        0, "threads that read and augment (num_workers); 0: as many as help", within=(0, 1024)
    )
    cache: int = _option(
        0,
        "megabytes of memory for pictures decoded once, at the start, instead of in every epoch; "
        "the batches are the same",
        within=(0, 10**7), metavar="MB",
    )  # fmt: skip
    tensorboard: bool = _option(False, "also write the figures for TensorBoard")
    eager: bool = _option(False, "run step by step, for debugging")
