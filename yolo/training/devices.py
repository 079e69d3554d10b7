"""Which GPUs a run may use."""

from __future__ import annotations

from yolo.errors import ConfigError


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
    try:
        tf.config.set_visible_devices(chosen, "GPU")
    except RuntimeError as error:
        raise ConfigError(
            f"gpus is {setting!r}, but TensorFlow has started with other GPUs already; choose "
            "before the first computation"
        ) from error
    return chosen
