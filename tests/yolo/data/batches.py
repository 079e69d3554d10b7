"""Pictures whose objects can be found again in a batch, and batches of them."""

import itertools

import cv2
import numpy as np

from yolo.data.pipeline import BatchPlan, training_dataset
from yolo.data.sample import Sample
from yolo.settings.augmentation import AugmentConfig

STRONG = AugmentConfig(
    mosaic=0.5, mixup=0.3, flip=0.5, vertical_flip=0.5, scale=(0.5, 2.0), translate=0.2, aspect=0.3
)
SIZE = (96, 128)


def make(folder, name, *, size=(120, 160), boxes=(), background=40, suffix=".jpg", classes=None):
    """Write a dark picture with a bright rectangle for each box."""
    image = np.full((*size, 3), background, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = (250, 250, 250)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 100] if suffix == ".jpg" else []
    path = folder / f"{name}{suffix}"
    path.write_bytes(cv2.imencode(suffix, image, quality)[1].tobytes())
    n = len(boxes)
    ids = np.zeros(n, np.int32) if classes is None else np.array(classes, np.int32)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(path, array, ids, np.zeros(n, bool), np.zeros(n, bool), size, name)


def take(dataset, count):
    return [
        (images.numpy(), targets["boxes"].numpy(), targets["classes"].numpy())
        for images, targets in itertools.islice(dataset, count)
    ]


def training(samples, augment=STRONG, **options):
    planned = {"batch_size": 4, "epochs": 10, "seed": 5, "multi_scale": False}
    planned = {name: options.pop(name, value) for name, value in planned.items()}
    plan = BatchPlan(augment=augment, **planned)
    return training_dataset(samples, plan, **{"image_size": SIZE, **options})
