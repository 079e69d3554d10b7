"""`predict.py --benchmark`: a table of how long each stage takes."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import ConfigError
from yolo.system import terminal


def print_benchmark(model, found: list[Path | int], settings: dict, screen) -> int:
    """Time every stage on the pictures of `found`, videos passed over, and return the exit code."""
    import numpy as np

    from yolo.inference import benchmark
    from yolo.inference.sources import pictures_among

    paths = pictures_among(found)
    if not paths:
        raise ConfigError("--benchmark times pictures; name one at least")
    settings = {**settings, "batch_size": min(settings["batch_size"], len(paths))}
    progress = terminal.Progress(screen, benchmark.ROUNDS, "rounds")
    times = benchmark.measure(
        model, paths, on_round=lambda done, _: progress.step(done), **settings
    )
    size = "x".join(str(side) for side in model.image_size)
    screen.write(
        f"milliseconds a picture, {terminal.counted(len(paths), 'picture')}, network {size}, "
        f"batches of {settings['batch_size']}, {benchmark.ROUNDS} rounds"
    )
    screen.write(f"{'stage':<16}{'median':>9}{'10 % to 90 %':>20}")
    for stage, values in times.items():
        low, middle, high = np.percentile(values, [10, 50, 90])
        screen.write(f"{stage:<16}{middle:>9.2f}{f'{low:.2f} to {high:.2f}':>20}")
    return 0
