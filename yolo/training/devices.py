"""Which devices a run may use, and how they share its batches."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from yolo.errors import ConfigError
from yolo.training import workers
from yolo.training.settings import TrainConfig

if TYPE_CHECKING:
    import numpy as np


def select_gpus(setting: str | None) -> list:
    """Let TensorFlow see the chosen GPUs only, and return them.

    TensorFlow takes this only before it has computed anything; calling again with the same
    setting is fine at any time.

    Args:
        setting: numbers such as "0" or "0,1", "none" for the processor, None for all.

    Returns:
        TensorFlow's physical devices, none on a machine without a GPU.

    Raises:
        ConfigError: there is no such GPU, or it is too late to choose.
    """
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if setting is None:
        return found
    wanted = [] if setting == "none" else setting.split(",")
    if any(not name.isdecimal() or int(name) >= len(found) for name in wanted):
        raise ConfigError(
            f"gpus names GPUs 0..{len(found) - 1} or none, not {setting!r}"
            if found
            else f"gpus is {setting!r}, but TensorFlow sees no GPU here; leave it out"
        )
    chosen = [found[int(name)] for name in dict.fromkeys(wanted)]
    _before_it_starts(f"gpus is {setting!r}", tf.config.set_visible_devices, chosen, "GPU")
    return chosen


class Team:
    """The devices that share every batch of a run, on this machine and on others.

    Args:
        strategy: a `tf.distribute.Strategy`; None for one device.
        devices: how many of its devices are this machine's.
        worker: this machine's number, from 0; number 0, the chief, is the one that writes files.
        workers: how many machines there are.
        gpus: how many of all the devices are GPUs.
    """

    def __init__(
        self, strategy=None, *, devices: int = 1, worker: int = 0, workers: int = 1, gpus: int = 0
    ):
        self.strategy, self.devices, self.gpus = strategy, devices, gpus
        self.worker, self.workers = worker, workers

    @property
    def chief(self) -> bool:
        """Whether this machine writes the run's files."""
        return self.worker == 0

    @property
    def replicas(self) -> int:
        """How many devices share a batch in all."""
        return self.devices * self.workers

    def scope(self):
        """Return the context in which a model for these devices is made and compiled."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def share(self, dataset: Callable):
        """Return the batches that these devices train or measure on.

        Args:
            dataset: makes a `tf.data.Dataset` of a `yolo.data.pipeline.Share`.
        """
        from yolo.data.pipeline import Share

        part = Share(self.worker * self.devices, self.devices, self.replicas)
        if self.strategy is None:
            return dataset(part)
        return self.strategy.distribute_datasets_from_function(lambda context: dataset(part))

    def everyone(self, *values: float) -> np.ndarray:
        """Return what each worker says, (workers, len(values)) float64; all of them must ask."""
        import numpy as np

        mine = np.array(values, np.float64)
        return mine[None] if self.workers == 1 else workers.gather(self.strategy, mine)


def set_up(config: TrainConfig) -> Team:
    """Choose the devices of a run; TensorFlow takes this only before it has computed anything.

    Args:
        config: `gpus` and `devices` count, and the variable TF_CONFIG in the environment.

    Raises:
        ConfigError: there are not so many devices, it is too late to choose, or TF_CONFIG makes
            no sense.
    """
    return _team(config.gpus, config.devices)


@functools.cache
def _team(names: str | None, devices: str | None) -> Team:
    import tensorflow as tf

    cluster = workers.read_cluster()
    found = select_gpus(names)
    wanted = len(found) if devices in (None, "all") else _count(devices)
    if found and wanted > len(found):
        raise ConfigError(
            f"devices is {devices}, but there are {len(found)} GPUs to use; at most so many"
        )
    if wanted < len(found):
        _before_it_starts(f"devices is {devices}", tf.config.set_visible_devices,
                          found[:wanted], "GPU")  # fmt: skip
    if cluster.workers > 1:
        if not found and wanted > 1:
            raise ConfigError("without GPUs every worker has one device; leave devices out")
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        gpus = wanted * cluster.workers if found else 0
        return Team(strategy, devices=max(1, wanted), worker=cluster.index,
                    workers=cluster.workers, gpus=gpus)  # fmt: skip
    if wanted < 2:
        return Team(gpus=min(len(found), 1))
    if not found:
        (processor,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * wanted
        _before_it_starts(f"devices is {devices}", tf.config.set_logical_device_configuration,
                          processor, parts)  # fmt: skip
    kind = "GPU" if found else "CPU"
    strategy = tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(wanted)])
    return Team(strategy, devices=wanted, gpus=wanted if found else 0)


def refuse_uneven(team: Team, batch_sizes) -> None:
    """Refuse batches that do not divide among the devices.

    Raises:
        ConfigError: with the nearest sizes that do.
    """
    for size in batch_sizes:
        if size % team.replicas:
            below = size // team.replicas * team.replicas
            near = " or ".join(str(n) for n in (below, below + team.replicas) if n)
            what = "workers" if team.devices == 1 else "devices"
            raise ConfigError(
                f"a batch of {size} does not divide among {team.replicas} {what}; choose {near}"
            )


def _count(devices: str) -> int:
    if not devices.isdecimal() or not 1 <= int(devices) <= 1024:
        raise ConfigError(f"devices is a number from 1 on, or all, not {devices!r}")
    return int(devices)


def _before_it_starts(what: str, choose: Callable, *arguments) -> None:
    try:
        choose(*arguments)
    except RuntimeError as error:
        raise ConfigError(
            f"{what}, but TensorFlow has started with other devices already; choose before the "
            "first computation"
        ) from error
