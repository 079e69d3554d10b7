"""Average precision after the PASCAL VOC development kit, 2007 (11-point) and 2010 (all-point).

The +1 rule. The kit counts the pixels of a box inclusively: width = xmax - xmin + 1. This
package reads the same corners as half-open boxes (x1 = xmin - 1, x2 = xmax), whose plain width
x2 - x1 is already that number. So the default here adds nothing, and is the kit's own rule for
boxes in this package's convention. `inclusive_pixels=True` adds 1 to every width and height, for
boxes that are inclusive corners themselves, and to compare with tools that add it regardless.
Both means are always computed, and the table shows both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.pairwise import pairwise_iou
from yolo.data.sample import Sample
from yolo.evaluation import align_classes
from yolo.evaluation.matching import in_crowds
from yolo.evaluation.text_table import number, text_table, without_objects
from yolo.models.thresholds import MATCH_IOU

SCORES = np.linspace(0, 1, 201)  # where F1 is looked at
_FIGURES = ("ap_11_point", "ap_all_point", "precision", "recall")  # of a class, in 0..1


@dataclass(frozen=True, eq=False)
class ClassResult:
    """How well one class was found.

    Args:
        name: the class.
        objects: how many objects count (the difficult ones do not).
        difficult: how many difficult objects there are beside them.
        detections: how many detections count as a hit or a miss.
        ap_11_point: VOC2007 average precision, 0..1; nan without objects.
        ap_all_point: VOC2010 average precision, 0..1; nan without objects.
        precision: share of hits among the detections that reach the score threshold of
            `evaluate_voc`; nan where there are none.
        recall: share of objects hit by those detections; nan without objects.
        precision_curve: (detections,) precision after each detection, best first.
        recall_curve: (detections,) recall after each detection, best first.
        scores: (detections,) the scores, best first.
    """

    name: str
    objects: int
    difficult: int
    detections: int
    ap_11_point: float
    ap_all_point: float
    precision: float
    recall: float
    precision_curve: np.ndarray = field(repr=False)
    recall_curve: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)

    def f1_curve(self) -> np.ndarray:
        """Return F1, 2 P R / (P + R), of the detections that reach each of `SCORES`."""
        if not len(self.scores):
            return np.zeros(len(SCORES))
        kept = np.searchsorted(-self.scores, -SCORES, side="right")  # scores fall
        precision = np.concatenate([[0.0], self.precision_curve])[kept]
        recall = np.concatenate([[0.0], self.recall_curve])[kept]
        return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


@dataclass(frozen=True, eq=False)
class VocResult:
    """The results of all classes at one IoU threshold; see `evaluate_voc`.

    Args:
        classes: one entry per class, in the order of the class list.
        iou_threshold: the least IoU of a hit.
        score_threshold: where `precision` and `recall` of the classes are read.
        inclusive_pixels: whether 1 was added to widths and heights.
        other_rule: (11-point, all-point) means with `inclusive_pixels` the other way.
    """

    classes: list[ClassResult]
    iou_threshold: float
    score_threshold: float
    inclusive_pixels: bool
    other_rule: tuple[float, float]

    @property
    def map_11_point(self) -> float:
        """Mean 11-point AP over the classes that have objects; 0 if none has."""
        return _mean(result.ap_11_point for result in self.classes)

    @property
    def map_all_point(self) -> float:
        """Mean all-point AP over the classes that have objects; mAP50 at IoU 0.5."""
        return _mean(result.ap_all_point for result in self.classes)

    @property
    def best_score(self) -> float:
        """The least score with the greatest mean F1 over the classes that have objects.

        From it on detections should count; 0 if no class has objects.
        """
        return float(self._best_scores()[0])

    @property
    def score_between(self) -> float:
        """The middle of the scores whose mean F1 is the greatest, for other pictures to keep to.

        0 if no class has objects, or none was found.
        """
        best = self._best_scores()
        return float(best[len(best) // 2])

    def _best_scores(self) -> np.ndarray:
        """Return those of `SCORES` with the greatest mean F1, rising; 0 alone where F1 is 0."""
        curves = [result.f1_curve() for result in self.classes if result.objects]
        mean = np.mean(curves, axis=0) if curves else np.zeros(len(SCORES))
        return SCORES[mean >= mean.max() - 1e-12] if mean.max() > 0 else SCORES[:1]


def evaluate_voc(
    detections: list[Detections],
    samples: list[Sample],
    classes: Sequence[str],
    *,
    iou_threshold: float = MATCH_IOU,
    inclusive_pixels: bool = False,
    score_threshold: float = 0.5,
) -> VocResult:
    """Score detections as the PASCAL VOC development kit does.

    Detections of a class are taken by falling score, equal scores in the order of the input.
    Each looks only at the object of its class and picture that it overlaps best: below the
    threshold it is a miss; on a difficult object it counts neither way; on an object that a
    better detection has taken it is a miss; else it is a hit. What would be a miss and lies in a
    crowd of its class counts neither way.

    Args:
        detections: what was found, one entry per sample, boxes in pixels of the picture.
        samples: the labelled pictures.
        classes: class names; `class_ids` of the samples index into them.
        iou_threshold: the least IoU (inclusive) of a hit, 0..1.
        inclusive_pixels: add 1 to widths and heights; see the head of this module.
        score_threshold: the score from which on the table's precision and recall count.

    Returns:
        The figures per class and their means.

    Raises:
        ValueError: there are not as many detections as samples.
        ConfigError: the detections' classes are all unknown to the data set.

    Reference:
        Everingham et al., The PASCAL Visual Object Classes Challenge: A Retrospective (2015),
        and VOCevaldet.m of the development kit.
    """
    detections = align_classes(detections, samples, classes)
    chosen, other = (
        _all_classes(detections, samples, classes, iou_threshold, float(rule), score_threshold)
        for rule in (bool(inclusive_pixels), not inclusive_pixels)
    )
    other_rule = (
        _mean(result.ap_11_point for result in other),
        _mean(result.ap_all_point for result in other),
    )
    return VocResult(chosen, iou_threshold, score_threshold, bool(inclusive_pixels), other_rule)


def _all_classes(
    detections: Sequence[Detections],
    samples: Sequence[Sample],
    classes: Sequence[str],
    iou_threshold: float,
    extra: float,
    score_threshold: float,
) -> list[ClassResult]:
    counts = np.cumsum([0] + [len(sample.class_ids) for sample in samples])
    truth_classes = _join([sample.class_ids for sample in samples], np.int32)
    difficult = _join([sample.difficult for sample in samples], bool)
    found_classes = _join([found.class_ids for found in detections], np.int32)
    scores = _join([found.scores for found in detections], np.float32)
    pairs = [
        _best_object(found, sample, extra)
        for found, sample in zip(detections, samples, strict=True)
    ]
    best_iou = _join([iou for iou, _ in pairs], np.float64)
    best_object = _join(
        [index + start for (_, index), start in zip(pairs, counts, strict=False)], np.int64
    )
    crowded = _join(
        [_in_crowd(found, sample) for found, sample in zip(detections, samples, strict=True)], bool
    )
    results = []
    for class_id, name in enumerate(classes):
        mine = np.flatnonzero(found_classes == class_id)
        mine = mine[np.argsort(-scores[mine], kind="stable")]
        overlaps = best_iou[mine] >= iou_threshold
        ignored = np.zeros(len(mine), bool)
        ignored[overlaps] = difficult[best_object[mine[overlaps]]]
        hit = np.zeros(len(mine), bool)
        _, first = np.unique(best_object[mine[overlaps]], return_index=True)
        hit[np.flatnonzero(overlaps)[first]] = True
        ignored |= crowded[mine] & ~hit
        results.append(
            _class_result(
                name,
                difficult[truth_classes == class_id],
                hit[~ignored],
                scores[mine[~ignored]],
                score_threshold,
            )
        )
    return results


def _class_result(
    name: str, difficult: np.ndarray, hit: np.ndarray, scores: np.ndarray, score_threshold: float
) -> ClassResult:
    """Return the figures of a class from its objects, and its detections, best first."""
    objects = int(np.count_nonzero(~difficult))
    true_positives = np.cumsum(hit)
    precision = true_positives / np.arange(1, len(hit) + 1)
    recall = true_positives / objects if objects else np.full(len(hit), np.nan)
    sure = int(np.count_nonzero(scores >= score_threshold))
    hits = int(true_positives[sure - 1]) if sure else 0
    eleven, area = average_precision(precision, recall) if objects else (np.nan, np.nan)
    return ClassResult(
        name=name,
        objects=objects,
        difficult=len(difficult) - objects,
        detections=len(hit),
        ap_11_point=eleven,
        ap_all_point=area,
        precision=hits / sure if sure else np.nan,
        recall=hits / objects if objects else np.nan,
        precision_curve=precision,
        recall_curve=recall,
        scores=scores,
    )


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


def _best_object(found: Detections, sample: Sample, extra: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the best IoU of each detection with an object of its class, and which that is."""
    if not len(found) or not len(sample.class_ids):
        return np.full(len(found), -1.0), np.zeros(len(found), np.int64)
    boxes, objects = (one.astype(np.float64) for one in (found.boxes_xyxy, sample.boxes_xyxy))
    iou = pairwise_iou(boxes, objects, extra=extra)
    iou[found.class_ids[:, None] != np.asarray(sample.class_ids)[None]] = -1.0
    index = iou.argmax(axis=1)
    return iou[np.arange(len(found)), index], index


def _in_crowd(found: Detections, sample: Sample) -> np.ndarray:
    """Tell which detections lie in a crowd of their class."""
    same = found.class_ids[:, None] == np.asarray(sample.class_ids)[None]
    return (in_crowds(found, sample) & same).any(axis=1)


def _join(arrays: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *[np.asarray(a, dtype) for a in arrays]])


def _mean(values: Iterable[float]) -> float:
    values = [value for value in values if not np.isnan(value)]
    return float(np.mean(values)) if values else 0.0


def table(result: VocResult) -> str:
    """Return the figures per class as lines of plain text, with the means of both rules below."""
    rows = [
        [entry.name, str(entry.objects), *(number(getattr(entry, key)) for key in _FIGURES)]
        for entry in result.classes
        if entry.objects
    ]
    objects = str(sum(entry.objects for entry in result.classes))
    means = [number(result.map_11_point), number(result.map_all_point)]
    rows.append(["mean", objects, *means, "", ""])
    header = ["class", "objects", "AP 11-point", "AP all-point", "precision", "recall"]
    rules = ["x2 - x1", "x2 - x1 + 1"]
    chosen, other = rules[result.inclusive_pixels], rules[not result.inclusive_pixels]
    without = without_objects([entry.name for entry in result.classes if not entry.objects])
    return "\n".join(
        [
            text_table(header, rows),
            *([without] if without else []),
            f"IoU {result.iou_threshold:g}, widths {chosen}; precision and recall at score "
            f"{result.score_threshold:g}",
            f"with widths {other}: mean AP 11-point {result.other_rule[0]:.4f}, "
            f"all-point {result.other_rule[1]:.4f}",
        ]
    )


def to_json(result: VocResult) -> dict:
    """Return the figures as plain Python values, without the curves; None where there is none."""
    other = "plain_widths" if result.inclusive_pixels else "inclusive_pixels"
    return {
        "iou_threshold": float(result.iou_threshold),
        "score_threshold": float(result.score_threshold),
        "inclusive_pixels": result.inclusive_pixels,
        "map_11_point": result.map_11_point,
        "map_all_point": result.map_all_point,
        f"map_with_{other}": {
            "map_11_point": result.other_rule[0],
            "map_all_point": result.other_rule[1],
        },
        "classes": [
            {
                "class": entry.name,
                "objects": entry.objects,
                "difficult": entry.difficult,
                "detections": entry.detections,
                **{
                    key: None if np.isnan(getattr(entry, key)) else float(getattr(entry, key))
                    for key in _FIGURES
                },
            }
            for entry in result.classes
        ],
    }
