"""How long a run learns, in what steps, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.models.option import option

_schedule = partial(option, group="schedule")
_optimizer = partial(option, group="optimizer")
LEARNING_RATES = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}


@dataclass(frozen=True)
class ScheduleSettings:
    """Epochs, batches and learning rates."""

    epochs: int = _schedule(100, "epochs in all (the tutorial's UnFreeze_Epoch)", within=(1, 10**6))
    batch_size: int = _schedule(
        8,
        "pictures a step (Unfreeze_batch_size); auto (0 in TOML): what fits into memory",
        within=(0, 10**5),
    )
    drop_remainder: bool = _schedule(
        False, "leave out the pictures at the end of an epoch that fill no whole batch"
    )
    freeze_epochs: int = _schedule(
        0, "first epochs, with the backbone frozen (Freeze_Train, Freeze_Epoch)", within=(0, 10**6)
    )
    freeze_batch_size: int | None = _schedule(
        None, "pictures a step while frozen", default_text="--batch-size", within=(1, 10**5)
    )
    init_epoch: int = _schedule(0, "count epochs from here, to go on from --weights by hand")
    learning_rate: float | None = _schedule(
        None,
        "highest learning rate, for --nominal-batch pictures a step (Init_lr)",
        default_text="0.01 for sgd, 0.001 for adam and adamw",
        above=0,
        within=(0, 10),
    )
    min_learning_rate_ratio: float = _schedule(
        0.01, "last learning rate as a share of the highest (Min_lr / Init_lr)", within=(0, 1)
    )
    nominal_batch: int = _schedule(
        8,
        "the learning rate grows with batch size / this, at most fourfold; 0: not at all",
        within=(0, 10**5),
    )
    lr_decay: str = _schedule("cos", "shape of the descent", choices=("cos", "step"))
    warmup_steps: int = _schedule(
        100, "steps of linear warm-up, at most a tenth of a phase's", within=(0, 10**7)
    )


@dataclass(frozen=True)
class OptimizerSettings:
    """What makes a step of a gradient."""

    optimizer: str = _optimizer(
        "sgd", "sgd has Nesterov momentum; weight decay is decoupled", choices=tuple(LEARNING_RATES)
    )
    momentum: float = _optimizer(0.937, "momentum of sgd, beta 1 of adam", within=(0, 0.9999))
    weight_decay: float = _optimizer(
        5e-4, "decay of the convolution kernels, times the learning rate", within=(0, 1)
    )
    clip_norm: float = _optimizer(
        10.0, "largest norm of the whole gradient; 0: no limit", within=(0, 1e9)
    )
    accumulate: int = _optimizer(1, "batches whose gradients make one update", within=(1, 10**4))
    ema: float = _optimizer(
        0.04,
        "best.keras holds weights averaged over about this share of the run; 0: the last ones",
        within=(0, 1),
    )
