"""Which number format to compute in on this machine."""

from __future__ import annotations

from pathlib import Path


def choose_precision(setting: str) -> str:
    """Return the Keras dtype policy that `--precision` stands for.

    "auto" is `mixed_bfloat16` where the hardware multiplies bfloat16 natively (a GPU from
    compute capability 8.0, a processor with AMX or AVX512-BF16) and `float32` elsewhere.

    Args:
        setting: "auto" or the name of a policy.
    """
    if setting != "auto":
        return setting
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    else:
        fast = bool({"amx_bf16", "avx512_bf16"} & _processor_flags())
    return "mixed_bfloat16" if fast else "float32"


def _processor_flags() -> set[str]:
    """Return the processor's features as Linux lists them; none are known elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    return {flag for line in text.splitlines() if line.startswith("flags") for flag in line.split()}
