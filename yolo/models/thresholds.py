"""What counts as a detection where the user does not say."""

from __future__ import annotations

from typing import NamedTuple


class Thresholds(NamedTuple):
    """What counts as a detection where the user does not say.

    Attributes:
        score: least score to show.
        iou: overlap above which the worse of two boxes of a class is dropped.
    """

    score: float
    iou: float
