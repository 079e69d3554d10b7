"""Average precision and recall after COCO, computed by faster-coco-eval.

COCO ranks sizes by the area of an object's mask, which its files give. Labelled pictures of other
formats have boxes only; there the area of the box is taken.

Difficult objects of a `Sample` are crowd regions here (COCO's readers mark crowds as difficult,
too): whatever is found mostly inside one counts neither way, any number of times.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from yolo.boxes.detections import Detections
from yolo.data.formats.coco_json import read_instances
from yolo.data.formats.coco_results import are_numbers, key_of, read_results
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.evaluation import align_classes
from yolo.evaluation.text_table import number, text_table
from yolo.system.reading import shortened

METRICS = (
    "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl",
)  # fmt: skip

_COUNTED = 100  # detections of a class in a picture, the best; COCO looks at no more
_NO_MASK: list = []  # one for all: without it the library draws a polygon for every box


def evaluate_coco(detections: list[Detections], samples: list[Sample], classes) -> dict:
    """Score detections on labelled pictures with COCO's twelve numbers.

    What is given, and what is raised, is as for `evaluate_voc`.

    Returns:
        The numbers `METRICS`, 0..1, or -1 where no object counts (as COCO does, for example APs
        without small objects); and `per_class`: for each class name its `AP` and `AP50`.

    Reference:
        https://cocodataset.org/#detection-eval
    """
    truth: list[dict] = []
    results: list[dict] = []
    aligned = align_classes(detections, samples, classes)
    for image_id, (found, sample) in enumerate(zip(aligned, samples, strict=True), 1):
        found = _counted(found)
        for box, class_id, crowd, area in zip(
            _to_xywh(sample.boxes_xyxy), sample.class_ids, sample.difficult, sample.areas,
            strict=True,
        ):  # fmt: skip
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id) + 1,
                    "bbox": box,
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
        for box, score, class_id in zip(
            _to_xywh(found.boxes_xyxy), found.scores, found.class_ids, strict=True
        ):
            results.append(
                {
                    "image_id": image_id,
                    "category_id": int(class_id) + 1,
                    "bbox": box,
                    "score": float(score),
                    "segmentation": _NO_MASK,
                }
            )
    images = [
        {"id": i, "height": int(sample.size[0]), "width": int(sample.size[1])}
        for i, sample in enumerate(samples, 1)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, 1)]
    return _evaluate({"images": images, "annotations": truth, "categories": categories}, results)


def evaluate_coco_files(ground_truth: Path, results: Path | list[dict]) -> dict:
    """Score a COCO results file against a COCO instances file, mask areas and crowds included.

    Args:
        ground_truth: instances JSON: `images`, `annotations`, `categories`. An annotation without
            `area` has that of its box, one without `iscrowd` is no crowd.
        results: a JSON list of `image_id`, `category_id`, `bbox` (x, y, width, height), `score`;
            its file, or itself as `coco_results.read_results` returned it.

    Returns:
        As `evaluate_coco`. What has a category that the instances file does not list counts
        neither way, as in COCO's own code.

    Raises:
        DatasetError: a file is not what it should be, a result has an unknown picture, or two
            categories have one id or one name.
    """
    truth, source = read_instances(ground_truth), ""
    if isinstance(results, list):
        found = [dict(entry) for entry in results]
    else:
        found, source = read_results(results), f"{results}: "
    _check_truth(truth, ground_truth)
    images, categories = (_renumber(truth[kind]) for kind in ("images", "categories"))
    for i, entry in enumerate(found):
        if key_of(entry["image_id"]) not in images:
            raise DatasetError(
                f"{source}result {i} has image_id {shortened(entry['image_id'])}, "
                f"which {ground_truth} does not list."
            )
    truth["annotations"] = _relabelled(truth["annotations"], images, categories)
    # COCO's code takes the id 0 for "none", and of annotations with one id the last.
    for new_id, entry in enumerate(truth["annotations"], 1):
        entry["id"] = new_id
        entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
    return _evaluate(truth, _relabelled(found, images, categories))


def dense(samples: list[Sample]) -> int:
    """Return how many pictures hold more objects of a class than COCO looks at."""
    counts = (np.bincount(sample.class_ids, minlength=1).max() for sample in samples)
    return sum(int(count > _COUNTED) for count in counts)


def table(result: dict) -> str:
    """Return COCO's numbers as lines of plain text: per class with objects, then all twelve."""
    rows = [
        [name, number(entry["AP"]), number(entry["AP50"])]
        for name, entry in result["per_class"].items()
        if entry["AP"] >= 0  # a class without objects has none
    ]
    rows.append(["all", number(result["AP"]), number(result["AP50"])])
    twelve = [f"{key} {number(result[key])}" for key in METRICS]
    lines = ["  ".join(twelve[i : i + 3]) for i in range(0, len(twelve), 3)]
    return "\n".join([text_table(["class", "AP", "AP50"], rows), *lines])


def _evaluate(truth: dict, results: list[dict]) -> dict:
    from faster_coco_eval import COCO
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    if not truth["images"] or not truth["categories"]:
        per_class = {entry["name"]: {"AP": -1.0, "AP50": -1.0} for entry in truth["categories"]}
        return dict.fromkeys(METRICS, -1.0) | {"per_class": per_class}
    annotated = COCO(truth, print_function=_silent)
    evaluation = COCOeval_faster(
        annotated, annotated.loadRes(results), iouType="bbox", print_function=_silent
    )
    evaluation.run()
    numbers = dict(zip(METRICS, (float(value) for value in evaluation.stats[:12]), strict=True))
    names = {category["id"]: category["name"] for category in truth["categories"]}
    # precision: (IoU thresholds, recalls, classes, sizes, limits); -1 where no object counts
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    per_class = {
        names[class_id]: {"AP": _mean(precision[:, :, i]), "AP50": _mean(precision[0, :, i])}
        for i, class_id in enumerate(evaluation.params.catIds)
    }
    return numbers | {"per_class": per_class}


def _counted(found: Detections) -> Detections:
    """Return the best of each class, as COCO picks them; every other would cost a kilobyte."""
    order = np.argsort(-found.scores, kind="stable")
    places = np.empty(len(order), int)
    for class_id in np.unique(found.class_ids):
        members = order[found.class_ids[order] == class_id]
        places[members] = np.arange(len(members))
    return found[places < _COUNTED]


def _mean(precision) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else -1.0


def _to_xywh(boxes_xyxy) -> list[list[float]]:
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()


def _check_truth(truth: dict, path: Path) -> None:
    """Refuse entries that the evaluation would trip over, or silently take for something else."""
    for key, needed in (
        ("images", ("id",)),
        ("categories", ("id", "name")),
        ("annotations", ("id", "image_id", "category_id", "bbox")),
    ):
        for i, entry in enumerate(truth[key]):
            if not all(name in entry for name in needed):
                raise DatasetError(f"{path}: {key}, entry {i}: expected {', '.join(needed)}.")
            ids = [entry[name] for name in needed if name.endswith("id")]
            if not all(isinstance(value, int | str) for value in ids):
                raise DatasetError(f"{path}: {key}, entry {i}: an id that is no number.")
            if not isinstance(entry.get("name", ""), str):
                raise DatasetError(f"{path}: {key}, entry {i}: a name that is no text.")
    for name in ("id", "name"):
        counts = Counter(key_of(category[name]) for category in truth["categories"])
        twice, count = next(iter(counts.most_common(1)), ("", 0))
        if count > 1:
            raise DatasetError(
                f"{path}: two categories have the {name} {shortened(twice)}; their figures could "
                "not be told apart: give each its own."
            )
    for entry in truth["annotations"]:
        _check_annotation(entry, f"{path}: annotation {shortened(entry['id'])}")


def _check_annotation(entry: dict, label: str) -> None:
    """Refuse an annotation whose box, area or mark of a crowd is none."""
    if not are_numbers(entry["bbox"], 4):
        raise DatasetError(
            f"{label}: bbox {shortened(entry['bbox'])}; expected [x, y, width, height]."
        )
    area, crowd = entry.get("area", 0), entry.get("iscrowd", 0)
    if not are_numbers([area], 1) or area < 0:
        raise DatasetError(
            f"{label}: area {shortened(area)}; expected square pixels, or none for the box's own."
        )
    if crowd not in (0, 1):
        raise DatasetError(f"{label}: iscrowd {shortened(crowd)}; expected 0 or 1.")


def _renumber(entries: list[dict]) -> dict[str, int]:
    """Give entries the ids 1, 2, ... in the order of their own; return them by the old `key_of`."""
    keys = sorted({key_of(entry["id"]) for entry in entries}, key=lambda key: (len(key), key))
    new_ids = {key: new_id for new_id, key in enumerate(keys, 1)}
    for entry in entries:
        entry["id"] = new_ids[key_of(entry["id"])]
    return new_ids


def _relabelled(entries: list[dict], images: dict[str, int], categories: dict[str, int]) -> list:
    """Return the entries under the new ids, without those of another picture or category."""
    kept = []
    for entry in entries:
        image = images.get(key_of(entry["image_id"]))
        category = categories.get(key_of(entry["category_id"]))
        if image is not None and category is not None:
            entry["image_id"], entry["category_id"] = image, category
            kept.append(entry)
    return kept


def _silent(*_):
    pass
