"""Peak memory of this process, as the system counts it."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_start = 0.0


def start_here() -> None:
    """Count memory from what the process holds now; else everything counts."""
    global _start
    _start = _megabytes("VmRSS")


def forget_peak() -> None:
    """Begin a new peak (on Linux; elsewhere the peak is that of the whole process)."""
    if _STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> float:
    """Return the peak in megabytes since `forget_peak`, above `start_here`."""
    return _megabytes("VmHWM") - _start


def _megabytes(name: str) -> float:
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    import resource  # not on Windows, where there is no such number at all

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
