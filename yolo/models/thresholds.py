"""What counts as a detection where the user does not say."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

# Average precision looks at the whole ranking (COCO's figures at the best 100 of each class).
RANKED_FROM, RANKED = 0.001, 300  # the least score, and how many objects a picture at least
# What training finds out of its data and its best model
NOTED = ("one_label", "max_detections", "score_threshold")
MATCH_IOU = 0.5  # overlap of a detection and its object that is a hit


def _is_share(value: Any) -> bool:
    return isinstance(value, Real) and 0 <= float(value) <= 1


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and int(value) > 0


def _is_flag(value: Any) -> bool:
    return value in (True, False)


_EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "score_threshold": (_is_share, "a number from 0 to 1"),
    "iou_threshold": (_is_share, "a number from 0 to 1"),
    "max_detections": (_is_count, "a whole number from 1"),
    "one_label": (_is_flag, "True or False"),
}


def notes_fit(notes: dict) -> bool:
    """Tell whether what a file notes of `NOTED` is what it has to be."""
    most, score = notes.get("max_detections", 1), notes.get("score_threshold", 1.0)
    of_labels = type(notes.get("one_label", False)) is bool and type(most) is int and most > 0
    return of_labels and type(score) is float and 0 < score <= 1


def _check(asked: dict[str, Any]) -> None:
    for name, one in asked.items():
        if name in _EXPECTED and not _EXPECTED[name][0](one):
            raise ValueError(f"{name}: expected {_EXPECTED[name][1]}, received {one!r}")


class Thresholds(NamedTuple):
    """What counts as a detection where the user does not say; each family's settings have theirs.

    Attributes:
        score_threshold: least score to show, in 0..1.
        iou_threshold: overlap above which the worse of two boxes of a class is dropped, in 0..1.
        max_detections: the most objects a picture, the best.
        one_label: whether an object has one class, its best: overlapping boxes of different
            classes are then boxes of one object, too.
    """

    score_threshold: float
    iou_threshold: float
    max_detections: int = 100
    one_label: bool = False

    def chosen(self, **asked: Any) -> Thresholds:
        """Return these with others in the place of those that are asked for; None asks for none.

        Raises:
            ValueError: one is no such number, or has another name.

        Example:
            >>> Thresholds(0.25, 0.5).chosen(score_threshold=0.1, iou_threshold=None)
            Thresholds(score_threshold=0.1, iou_threshold=0.5, max_detections=100, one_label=False)
        """
        asked = {name: one for name, one in asked.items() if one is not None}
        _check(asked)
        return self._replace(**asked)

    def checked(self) -> Thresholds:
        """Return these as they are.

        Raises:
            ValueError: one is no such number.
        """
        _check(self._asdict())
        return self

    def noted(self, notes: dict) -> Thresholds:
        """Return these with those of `NOTED` that a model notes, as it notes them."""
        return self.chosen(**{name: notes.get(name) for name in NOTED})

    def ranked(self, most_objects: int = 0) -> Thresholds:
        """Return those by which detections are scored: what is shown, and the ranking below it.

        Args:
            most_objects: that a picture of the data holds; where it is more than would be taken,
                twice as many are.

        Example:
            >>> Thresholds(0.25, 0.5).ranked(625)[:3]
            (0.001, 0.5, 1250)
        """
        most = max(RANKED, self.max_detections)
        return self._replace(
            score_threshold=RANKED_FROM,
            max_detections=most if most_objects <= most else 2 * most_objects,
        )
