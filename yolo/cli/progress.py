"""A bar for work that takes a while: in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

from yolo.terminal import Screen, duration

WIDTH = 24
QUARTERS = 4


class Progress:
    """Shows how much of some work is done, how fast, and how long it will take.

    Args:
        screen: where to show it.
        what: what is counted, as "pictures decoded".
    """

    def __init__(self, screen: Screen, what: str):
        self.screen, self.what = screen, what
        self.started = time.monotonic()
        self.told = 0

    def __call__(self, done: int, total: int) -> None:
        """Show the state; fit for the `on_progress` of what takes long."""
        elapsed = max(time.monotonic() - self.started, 1e-6)
        rate = done / elapsed
        left = (total - done) / rate if rate else 0
        figures = f"{done}/{total} {self.what}"
        speed = f"{rate:.0f}/s, {duration(left)} left" if done < total else f"{rate:.0f}/s"
        if self.screen.live:
            full = WIDTH * done // max(total, 1)
            self.screen.write(f"[{'#' * full}{'.' * (WIDTH - full)}] {figures}, {speed}", end="\r")
        elif done * QUARTERS // max(total, 1) > self.told:
            self.told = done * QUARTERS // max(total, 1)
            self.screen.write(f"{figures}, {speed}")
