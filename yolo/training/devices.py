"""Which devices and processes share the batches of a run."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from typing import Any

from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig


def select_gpus(setting: str | None) -> list:
    """Let TensorFlow see the chosen GPUs only, and return them; none on a machine without one.

    TensorFlow takes this only before it has computed anything; calling again with the same
    setting, "0" or "0,1", "none" for the processor, None for all, is fine at any time.

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


def read_tf_config() -> tuple[int, int]:
    """Return the number of this process, from 0, and how many train together, by TF_CONFIG.

    Its form is TensorFlow's, as Kubernetes' TFJob, Ray Train and others set it, with an optional
    "chief" that comes first. Without it the process trains alone: (0, 1).

    Raises:
        ConfigError: TF_CONFIG is something else.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 0, 1
    try:
        found = json.loads(text)
        members, kind, index = found["cluster"], found["task"]["type"], int(found["task"]["index"])
        chiefs, workers = (len(members.get(name, [])) for name in ("chief", "worker"))
        if set(members) - {"chief", "worker", "evaluator"} or kind not in ("chief", "worker"):
            raise ValueError("only a chief and workers train here")
        if not 0 <= index < len(members[kind]):
            raise ValueError(f"there is no {kind} {index}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"TF_CONFIG names no cluster of workers ({error}); expected "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    return index + (chiefs if kind == "worker" else 0), chiefs + workers


def set_up(config: TrainConfig) -> Any:
    """Choose the devices of a run; TensorFlow takes this only before it has computed anything.

    The settings `gpus` and `devices` count, and the variable TF_CONFIG in the environment.

    Returns:
        The `tf.distribute.Strategy` of all that share a batch, TensorFlow's own for one device.

    Raises:
        ConfigError: there are not so many devices, it is too late to choose, or TF_CONFIG makes
            no sense.
    """
    return _strategy(config.gpus, config.devices)


@functools.cache
def _strategy(names: str | None, devices: str | None):
    import tensorflow as tf

    _, processes = read_tf_config()
    found = select_gpus(names)
    wanted = len(found) if devices in (None, "all") else _count(devices)
    if found and wanted > len(found):
        raise ConfigError(
            f"devices is {devices}, but there are {len(found)} GPUs to use; at most so many"
        )
    if wanted < len(found):
        _before_it_starts(f"devices is {devices}", tf.config.set_visible_devices,
                          found[:wanted], "GPU")  # fmt: skip
    if processes > 1:
        if not found and wanted > 1:
            raise ConfigError("without GPUs every process has one device; leave devices out")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if wanted < 2:
        return tf.distribute.get_strategy()
    if not found:
        (processor,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * wanted
        _before_it_starts(f"devices is {devices}", tf.config.set_logical_device_configuration,
                          processor, parts)  # fmt: skip
    kind = "GPU" if found else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(wanted)])


def told_by_first(strategy, value: float) -> float:
    """Return what the first of the processes says; all of them must ask, and wait for it."""
    import tensorflow as tf

    def said(context):
        return tf.constant(value if context.replica_id_in_sync_group == 0 else 0.0, tf.float64)

    values = strategy.experimental_distribute_values_from_function(said)
    return float(strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))


def refuse_uneven(devices: int, batch_sizes) -> None:
    """Refuse batches that do not divide among the devices.

    Raises:
        ConfigError: with the nearest sizes that do.
    """
    for size in batch_sizes:
        if size % devices:
            below = size // devices * devices
            near = " or ".join(str(n) for n in (below, below + devices) if n)
            raise ConfigError(
                f"a batch of {size} does not divide among {devices} devices; choose {near}"
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
