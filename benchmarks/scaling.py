"""How time grows with the amount of work: a ratio above 1 to the first case is growth above linear.

Where a constant part weighs most, the ratio falls far below 1.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.plan import Group, Options, Ready

BATCHES, SIDES = (1, 2, 4, 8), (256, 416, 608)
OBJECTS, MATCHED_SIDES = (1, 10, 100, 500), (256, 512, 1024)
CANDIDATES = (100, 1_000, 10_000, 30_000)
CHECKED = (100, 1_000, 20_000)
EVALUATED = (100, 1_000, 10_000)


def _group(what: str, unit: str, amounts: tuple) -> Group:
    return Group(f"scaling: {what}", unit, tuple(str(amount) for amount in amounts))


GROUPS = [
    _group("yolov4-tiny step against batch, 416", "picture", BATCHES),
    _group("yolov4-tiny step against side, batch 2", "megapixel", SIDES),
    _group("yolov4 matching against objects, 608", "object", OBJECTS),
    _group("retinanet matching against objects, 512", "object", OBJECTS),
    _group("retinanet matching against side, 20 objects", "megapixel", MATCHED_SIDES),
    _group("nms against candidates", "candidate", CANDIDATES),
    _group("check against pictures", "picture", CHECKED),
    _group("voc evaluator against pictures", "picture", EVALUATED),
    _group("coco evaluator against pictures", "picture", EVALUATED),
]


def prepare_folder(what: str, options: Options) -> None:
    """Write the pictures that the check is to look at."""
    if not what.startswith("check"):
        return
    for count in CHECKED:
        _many_pictures(options, max(8, count // options.shrink))


def prepare(case: str, options: Options) -> Ready:
    """Return the work of one case, "what against what; amount"."""
    what, _, amount = case.partition("; ")
    count = int(amount)
    if what.startswith("yolov4-tiny step against batch"):
        return _step(count, 416, 1.0, options)
    if what.startswith("yolov4-tiny step"):
        return _step(2, count, 1e-6 * count * count, options)
    if "matching" in what:
        return _matching(what, count)
    makers = {"nms": _nms, "check": _check, "voc": _evaluator, "coco": _evaluator}
    return makers[what.split()[0]](what, max(8, count // options.shrink), options)


def _step(batch: int, side: int, units: float, options: Options) -> Ready:
    from benchmarks.training import step

    if options.shrink > 1:
        side = 64
    ready = step("yolov4-tiny", batch, side, "auto")
    return ready._replace(units=units * batch)


def _matching(what: str, count: int) -> Ready:
    """Return the assignment of a batch of two, compiled; `count` objects, or pixels a side."""
    import numpy as np
    import tensorflow as tf

    from yolo.boxes.overlap import max_iou
    from yolo.models.families import FAMILIES
    from yolo.models.names import settings_of

    objects = 20 if "side" in what else count
    side = count if "side" in what else int(what.rpartition(", ")[2])
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, side, (2, objects, 2, 2)), axis=2)
    boxes = tf.constant(corners.reshape(2, objects, 4), tf.float32)
    ids = tf.constant(rng.integers(0, 20, (2, objects)), tf.int32)
    is_yolo = what.startswith("yolov4")
    config = settings_of("yolov4" if is_yolo else "retinanet-r50")
    family = FAMILIES[config.family]
    settings = family.loss.default_settings(config, None)
    anchors = family.decode.make_anchors(config, (side, side))

    @tf.function
    def match(boxes, ids):
        if not is_yolo:
            return family.targets.assign(
                config, settings, (side, side), anchors, boxes, ids
            ).matched
        found = family.targets.assign(config, settings, (side, side), boxes, ids)
        return found.anchor, max_iou(anchors[None] + boxes[:, :1] * 0.0, boxes, found.valid)

    units = 1e-6 * side * side if "side" in what else count
    return Ready(lambda: match(boxes, ids), units)


def _nms(what: str, count: int, options: Options) -> Ready:
    """Return suppression of boxes in a picture that many of them share."""
    import numpy as np

    from yolo.boxes.nms import class_wise_nms
    from yolo.models.yolov4.settings import YOLOv4Config

    rng = np.random.default_rng(0)
    centres, sides = rng.uniform(0, 608, (count, 2)), rng.uniform(8, 120, (count, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype("float32")
    scores = rng.uniform(0.25, 1.0, (count, 1)).astype("float32")

    def run() -> None:
        class_wise_nms(boxes, scores, **YOLOv4Config.thresholds._asdict())

    return Ready(run, count)


def _many_pictures(options: Options, count: int) -> Path:
    """Return a VOC folder with so many small pictures, all different; it is made once."""
    import cv2
    import numpy as np

    root = Path(options.folder) / f"check-{count}" / "VOC2007"
    if (root / "ImageSets" / "Main" / "train.txt").exists():
        return root
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    names = [f"{n:06d}" for n in range(count)]
    for name in names:
        picture = rng.integers(0, 256, (8, 8, 3), np.uint8)
        jpeg = cv2.imencode(".jpg", cv2.resize(picture, (64, 64)))[1]
        (root / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg.tobytes())
        (root / "Annotations" / f"{name}.xml").write_text(
            "<annotation><size><width>64</width><height>64</height><depth>3</depth></size>"
            "<object><name>thing</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>40</xmax>"
            "<ymax>50</ymax></bndbox></object></annotation>",
            encoding="utf-8",
        )
    (root / "ImageSets" / "Main" / "train.txt").write_text("\n".join(names), encoding="utf-8")
    return root


def _check(what: str, count: int, options: Options) -> Ready:
    """Return the check of a data set, every picture decoded, without its report's pages."""
    from yolo.settings.train import TrainConfig
    from yolo.training import data_check

    config = TrainConfig(data=str(_many_pictures(options, count)))
    return Ready(lambda: data_check.read_and_check(config, decode=True), count)


def _evaluator(what: str, count: int, options: Options) -> Ready:
    """Return the evaluation of so many pictures with eight objects and twenty detections each."""
    import numpy as np

    from yolo.boxes.detections import Detections
    from yolo.data.sample import Sample
    from yolo.evaluation.coco import evaluate_coco
    from yolo.evaluation.voc import evaluate_voc

    rng = np.random.default_rng(0)
    classes = tuple(f"class {n}" for n in range(20))

    def boxes(number):
        return np.sort(rng.uniform(0, 400, (number, 2, 2)), axis=1).reshape(-1, 4).astype("float32")

    def one(number):
        truth = boxes(8)
        no = np.zeros(8, bool)
        ids = rng.integers(0, 20, 8).astype("int32")
        sample = Sample(Path(f"{number}.jpg"), truth, ids, no, no, (400, 400), str(number))
        near = np.concatenate([truth + rng.normal(0, 4, (8, 4)), boxes(12)]).astype("float32")
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        guesses = np.concatenate([ids, rng.integers(0, 20, 12)]).astype("int32")
        scores = rng.uniform(0, 1, 20).astype("float32")
        return sample, Detections(near, scores, guesses, classes)

    samples, found = zip(*(one(number) for number in range(count)), strict=True)
    evaluate = evaluate_voc if what.startswith("voc") else evaluate_coco
    return Ready(lambda: evaluate(list(found), list(samples), classes), count)
