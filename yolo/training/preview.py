"""Training batches as pictures: what the network really sees, and what it learns from there."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from yolo.boxes.draw import class_color, outline
from yolo.boxes.labels import PADDING
from yolo.data import pipeline
from yolo.data.anchor_fit import box_sizes
from yolo.data.folder import TrainingData
from yolo.data.sample import Sample, draw_ground_truth
from yolo.models.families import FAMILIES
from yolo.pictures.files import write_image
from yolo.pictures.sheet import grid
from yolo.settings import train
from yolo.settings.train import TrainConfig

ANCHOR_COLOUR, IGNORED_COLOUR = (255, 255, 255), (160, 160, 160)
CELL = 416


def write_batches(
    config: TrainConfig, data: TrainingData, architecture, count: int, folder: Path
) -> list[tuple[Path, str]]:
    """Draw the first batches of a run, as its seed and settings make them.

    Returns for each the file, `batch_1.jpg` and so on in `folder`, and a line about it.
    """
    plan = pipeline.BatchPlan(
        config.batch_size or 8, train.augmentation(config), config.epochs, config.seed,
        drop_remainder=config.drop_remainder, multi_scale=config.multi_scale,
    )  # fmt: skip
    batches = pipeline.training_dataset(
        data.train, plan, image_size=config.image_size, resize=config.resize,
        start=(config.init_epoch, 0),
    )  # fmt: skip
    written = []
    for number, (images, truth) in enumerate(itertools.islice(batches, count), 1):
        images, boxes, ids = images.numpy(), truth["boxes"].numpy(), truth["classes"].numpy()
        anchors = matched_anchors(config, architecture, images.shape[1:3], boxes, ids)
        drawn = [
            draw_batch_picture(*parts, data.classes)
            for parts in zip(images, boxes, ids, anchors, strict=True)
        ]
        path = folder / f"batch_{number}.jpg"
        write_image(path, grid(drawn, min(4, len(drawn)), cell=CELL))
        objects = int((ids >= 0).sum())
        matched = sum(map(len, anchors))
        written.append((path, f"{objects} objects, {matched} anchors learn them"))
    return written


def matched_anchors(
    config: TrainConfig, architecture, image_size, boxes_xyxy, class_ids
) -> list[np.ndarray]:
    """Return the anchors that learn the objects of each picture, (k, 4) float32 xyxy.

    Boxes are (batch, M, 4) pixels of pictures of `image_size` (height, width), and class ids
    (batch, M), below 0 padding; of the settings those of the loss count.
    """
    family = FAMILIES[architecture.family]
    loss = train.loss_settings(config, architecture)
    return family.targets.matched_anchors(architecture, loss, image_size, boxes_xyxy, class_ids)


def draw_batch_picture(image, boxes_xyxy, class_ids, anchors_xyxy, classes) -> np.ndarray:
    """Draw one picture of a batch: thin white anchors (k, 4) under the coloured boxes (M, 4).

    What is to be ignored, see `yolo.boxes.labels`, is drawn in grey; padding is not.
    """
    canvas = np.array(image, np.uint8, order="C")
    order = np.argsort(-box_sizes(anchors_xyxy).prod(axis=1), kind="stable")
    outline(canvas, anchors_xyxy[order], ANCHOR_COLOUR, line=1)
    outline(canvas, boxes_xyxy[class_ids < PADDING], IGNORED_COLOUR, line=3)
    there = class_ids >= 0
    for class_id in np.unique(class_ids[there]):
        outline(canvas, boxes_xyxy[class_ids == class_id], class_color(int(class_id)), line=3)
    flags = np.zeros(int(there.sum()), bool)
    sample = Sample(
        Path(), boxes_xyxy[there], class_ids[there], flags, flags, canvas.shape[:2], ""
    )  # fmt: skip
    return draw_ground_truth(canvas, sample, classes)
