"""What the looks at the doors cost, and how many pictures a second several threads get.

python -m benchmarks.doors            # processor's time with and without, in turns
python -m benchmarks.doors --threads best.onnx best.tflite ...
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

SIZE, ROUNDS, STEPS = 416, 15, 2


def main() -> None:
    """Print a line for each door, or for each file and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", nargs="+", metavar="FILE", help="models to ask from threads")
    files = parser.parse_args().threads
    if files:
        for file in files:
            print(f"{Path(file).name}: {throughput(file)}")
    else:
        print(f"detect, of its time without the looks: {cost(*detections()):.3f}")
        print(f"fit, likewise: {cost(*steps()):.3f}")


def cost(plain, looked) -> float:
    """Return the median of the ratios of processor's time, taken in turns."""
    ratios = []
    for number in range(ROUNDS + 2):
        times = []
        for function in (plain, looked) if number % 2 else (looked, plain):
            start = time.process_time()
            function()
            times.append(time.process_time() - start)
        ratios.append(times[1] / times[0] if number % 2 else times[0] / times[1])
    return float(np.median(ratios[2:]))


def detector():
    """Return yolov4-tiny with its first weights."""
    import yolo

    return yolo.build("yolov4-tiny", classes=[str(i) for i in range(80)], image_size=SIZE)


def detections():
    """Return `detect` as it was without looks, and as it is."""
    from yolo.boxes.detections import Detections
    from yolo.boxes.nms import class_wise_nms
    from yolo.pictures.fit import fit_image

    model = detector()
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    thresholds = model.thresholds._asdict()

    def plain():
        for _ in range(4 * STEPS):
            picture, fit = fit_image(image, model.image_size, resize=model.resize)
            raw = model.predicted(picture[None])
            found = class_wise_nms(raw["boxes"][0], raw["scores"][0], **thresholds)
            boxes, scores, class_ids = found
            Detections(fit.to_picture(boxes), scores, class_ids, model.classes).clipped((480, 640))

    def looked():
        for _ in range(4 * STEPS):
            model.detect(image)

    return plain, looked


def steps():
    """Return a training step on uint8 pictures without looks and with them."""
    import keras
    import tensorflow as tf

    model = detector()
    model.compile("sgd", loss="focal")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    corners = rng.uniform(0, 200, (4, 20, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 200, (4, 20, 2))], -1)
    truth = {"boxes": boxes.astype("float32"), "classes": rng.integers(0, 80, (4, 20), np.int32)}
    data = tf.data.Dataset.from_tensors((images, truth)).repeat(4 * STEPS)
    fit = super(type(model), model).fit

    def plain():
        fit(data, verbose=0, shuffle=False)

    def looked():
        model.fit(data, verbose=0, shuffle=False)

    keras.utils.set_random_seed(0)
    return plain, looked


def throughput(file: str, pictures: int = 64) -> str:
    """Return pictures a second of one, two, four and eight threads that share a model."""
    import yolo
    from yolo.export.info import runtime_of
    from yolo.export.runtimes import ExportedDetector

    model = ExportedDetector(file) if runtime_of(Path(file)) else yolo.load(file)
    image = np.random.default_rng(0).integers(0, 256, (*model.image_size, 3), np.uint8)
    found = []
    for count in (1, 2, 4, 8):
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(model.detect, [image] * count))
            start = time.perf_counter()
            list(pool.map(model.detect, [image] * pictures))
            found.append(f"{count}: {pictures / (time.perf_counter() - start):.0f}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
