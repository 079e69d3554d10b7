"""Average precision: one number for a ranking of detections, in the two forms of PASCAL VOC."""

from __future__ import annotations

import numpy as np


def average_precision(precision: np.ndarray, recall: np.ndarray) -> tuple[float, float]:
    """Return the AP of VOC2007 (11-point) and that of VOC2010 (all-point).

    The first is the mean over recall 0, 0.1, ... 1 of the best precision from there on, the other
    the area under the precision made monotone from the right.

    The eleven recalls are multiples of the float 0.1, of which 0.3, 0.6 and 0.7 come out a
    rounding error too great, so that 3 objects of 10 do not reach 0.3. Published figures are
    computed so, by the tools that this one is compared with, and they can differ by up to 1/11.

    Args:
        precision: (n,) after each detection, best first.
        recall: (n,) after each detection, not falling.

    Returns:
        Both in 0..1; 0 for empty curves.

    Example:
        >>> eleven, area = average_precision(np.array([1.0, 0.5]), np.array([0.5, 0.5]))
        >>> round(eleven, 6), area
        (0.545455, 0.5)
    """
    points = [precision[recall >= 0.1 * tenth].max(initial=0.0) for tenth in range(11)]
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.mean(points)), float(np.sum(np.diff(recall, prepend=0.0) * envelope))
