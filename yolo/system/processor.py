"""What this machine's processor can do, and which of TensorFlow's ways to compute suits it."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Collection, MutableMapping
from pathlib import Path

SWITCH = "TF_ENABLE_ONEDNN_OPTS"  # TensorFlow reads it once, while it is loaded
# With one of these TensorFlow takes oneDNN's operations of its own accord (`IsDefaultOneDNN...`
# in tensorflow/core/util/util.cc and port.cc).
_BY_TENSORFLOW = {
    "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16",
}  # fmt: skip
_LEAST = {"avx2", "fma"}


@functools.cache
def flags() -> frozenset[str]:
    """Return the processor's features as Linux lists them; none are known elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    lines = [line for line in text.splitlines() if line.startswith("flags")]
    return frozenset(flag for line in lines for flag in line.partition(":")[2].split())


def wants_onednn(found: Collection[str]) -> bool:
    """Return whether oneDNN is to be switched on because TensorFlow would leave it off.

    Args:
        found: the processor's flags; without any, as where they are not known, TensorFlow chooses.
    """
    return set(found) >= _LEAST and not _BY_TENSORFLOW & set(found)


def wants_exponential_mish(found: Collection[str]) -> bool:
    """Return whether Mish is to be computed from one exponential, not by oneDNN's own.

    oneDNN's, fused into a convolution, is fast where there is AVX-512; without it TensorFlow's
    convolutions with Mish behind take three times as long as apart.
    """
    return "avx2" in found and "avx512f" not in found


def choose_onednn(environ: MutableMapping[str, str] = os.environ) -> None:
    """Switch oneDNN on where it pays; what the user has set stays, and a loaded TensorFlow too."""
    if SWITCH not in environ and "tensorflow" not in sys.modules and wants_onednn(flags()):
        environ[SWITCH] = "1"


def path_of_computation() -> str:
    """Return in a few words by which operations TensorFlow computes here, for a run's log."""
    found = flags()
    best = next((f for f in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if f in found), "")
    told = os.environ.get(SWITCH)
    if told is None:
        how = "oneDNN" if _BY_TENSORFLOW & found else "oneDNN as TensorFlow chooses"
    else:
        how = f"oneDNN {'off' if told.lower() in ('0', 'false') else 'on'} ({SWITCH}={told})"
    return f"{best}, {how}" if best else how
