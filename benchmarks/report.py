"""Results: a JSON file that grows group by group, a table, and a comparison with a recorded run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from pathlib import Path

from yolo.system.writing import write_json

PACKAGES = ("tensorflow", "keras", "jax", "numpy", "opencv-python-headless", "onnxruntime",
            "openvino", "ai-edge-litert")  # fmt: skip


def machine() -> dict:
    """Describe this machine, by what decides its speed, and the packages."""
    model, flags = platform.processor(), []
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            if key.strip() == "flags":
                flags = [f for f in value.split() if f.startswith(("amx_", "avx512_bf16", "avx2"))]
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "features": sorted(set(flags)),
        "system": platform.system(),
        "python": platform.python_version(),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def read(path: Path) -> dict:
    """Return the results in a file, or empty ones.

    Raises:
        ValueError: the file holds something else.
    """
    if not path.exists():
        return {"machine": machine(), "groups": {}}
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("groups"), dict):
        raise ValueError(f"{path}: holds no results of python -m benchmarks")
    return found


def write(path: Path, results: dict) -> None:
    """Write the results, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, results)


def table(name: str, rows: dict[str, dict]) -> str:
    """Return one group as a table in Markdown."""
    unit = next(iter(rows.values()))["unit"] if rows else ""
    many = unit if unit.endswith("s") else f"{unit}s"
    lines = [
        f"### {name}",
        "",
        f"| | ms per {unit}, median (least to greatest) | {many} per second | time, of | limit "
        "| processor's ms | processor's time, of the same | peak memory | GFLOP/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, row in rows.items():
        times = [number(1000 * row[key]) for key in ("seconds", "low", "high")]
        lines.append(
            f"| {case} | {times[0]} ({times[1]} to {times[2]}) | {number(1 / row['seconds'])} "
            f"| {_ratio(row, 'ratio', row.get('of'))} | {_limit(row)} "
            f"| {number(1000 * row['processor']) if 'processor' in row else ''} "
            f"| {_ratio(row, 'processor_ratio')} | {_memory(row)} "
            f"| {number(row['gflops']) if 'gflops' in row else ''} |"
        )
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Return a number with three significant digits, without an exponent.

    Example:
        >>> number(1234.5), number(0.01234), number(12)
        ('1234', '0.0123', '12.0')
    """
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 1e-4 else f"{value:.2e}"


def _ratio(row: dict, key: str, of: str | None = None) -> str:
    if key not in row:
        return ""
    text = f"{row[key]:.2f} ({row[f'{key}_low']:.2f} to {row[f'{key}_high']:.2f})"
    return f"{text} {of}" if of else text


def _limit(row: dict) -> str:
    if "limit" not in row:
        return ""
    return f"{row['limit']:.2f} {'kept' if row['ratio'] <= row['limit'] else 'MISSED'}"


def _memory(row: dict) -> str:
    text = f"{row['peak_mb']:.0f} MB" if "peak_mb" in row else ""
    if "memory_ratio" in row:
        text += f", {row['memory_ratio']:.2f}"
    if "memory_limit" in row:
        kept = row["memory_ratio"] <= row["memory_limit"]
        text += f" (limit {row['memory_limit']:.2f} {'kept' if kept else 'MISSED'})"
    return text


def comparison(now: dict, then: dict) -> str:
    """Return how the times, ratios and peaks of two results relate, as a table in Markdown.

    Times of two machines, or of a busy one, say little; the ratios within a group say more.
    """
    lines = [
        "| | time, of the recorded | ratio now | ratio recorded | memory, of the recorded |",
        "|---|---|---|---|---|",
    ]
    for group, rows in now["groups"].items():
        for case, row in rows.items():
            old = then["groups"].get(group, {}).get(case)
            if old is None:
                continue
            same = row.get("of") == old.get("of")
            memory = row.get("peak_mb") and old.get("peak_mb")
            lines.append(
                f"| {group}: {case} | {row['seconds'] / old['seconds']:.2f} "
                f"| {_ratio(row, 'ratio')} | {_ratio(old, 'ratio') if same else ''} "
                f"| {row['peak_mb'] / old['peak_mb']:.2f} |"
                if memory
                else f"| {group}: {case} | {row['seconds'] / old['seconds']:.2f} "
                f"| {_ratio(row, 'ratio')} | {_ratio(old, 'ratio') if same else ''} | |"
            )
    if now["machine"] != then["machine"]:
        lines += ["", "The machines or the packages differ: compare the two ratios only."]
    return "\n".join(lines) + "\n"
