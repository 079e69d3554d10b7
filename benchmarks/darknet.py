"""Show what is claimed of Darknet's files: the same AP, and networks of any cfg that learn.

    python -m benchmarks.darknet ap --weights yolov4-tiny.weights --cfg yolov4-tiny.cfg --data COCO
    python -m benchmarks.darknet cut --weights yolov4-tiny.weights --cfg yolov4-tiny.cfg --data COCO
    python -m benchmarks.darknet steps --cfg yolov4-tiny-3l.cfg yolov7-tiny.cfg
    python -m benchmarks.darknet overfit --cfg yolov7-tiny.cfg
    python -m benchmarks.darknet bccd --weights yolov4-tiny.conv.29 --cfg yolov4-tiny-3l.cfg \
        --data BCCD

COCO is a folder with annotations/ and pictures, or any other data set with COCO's classes.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from yolo.system import terminal

SIZE, PICTURES, STEPS, TIMED = 128, 8, 400, 4
WRONG_MASKS = ((0, 1, 2), (3, 4, 5))  # of yolov4-tiny-custom.cfg, for weights of yolov4-tiny.cfg


def ap(args) -> None:
    """Print the AP of weights through their cfg, and as the network that is built by hand."""
    import yolo
    from yolo.models.yolov4.settings import TINY_MASKS

    built = yolo.load(args.weights, cfg=args.cfg[0])
    hand = yolo.build(
        "yolov4-tiny", classes=built.classes, masks=TINY_MASKS["coco"],
        image_size=built.image_size, resize=built.resize,
    )  # fmt: skip
    yolo.weights.darknet.load(hand, args.weights)
    for name, model in (("by its cfg", built), ("by hand", hand)):
        of_coco, of_voc = _scores(model, args.data, model.classes)
        print(f"{name}: AP {of_coco['AP']:.5f}, AP50 {of_coco['AP50']:.5f}, mAP50 {of_voc:.4f}")


def cut(args) -> None:
    """Print the mAP50 of weights cut down to 10 classes, with their own masks and with others."""
    import yolo
    from yolo.models.darknet_cfg import cfg as darknet_cfg
    from yolo.models.darknet_cfg.edit import edited

    whole = yolo.load(args.weights, cfg=args.cfg[0])
    classes, cfg = whole.classes[:10], darknet_cfg.read(args.cfg[0])
    args.out.mkdir(parents=True, exist_ok=True)
    for name, masks in (("right", cfg.masks), ("wrong", WRONG_MASKS)):
        text = edited(
            cfg, classes=10, anchors=cfg.anchors, masks=masks, image_size=cfg.image_size,
            letterbox=False,
        )  # fmt: skip
        place = args.out / f"ten_{name}.cfg"
        place.write_bytes(text.encode("utf-8", "surrogateescape"))
        model = yolo.build(place, classes=classes)
        _give_first_classes(whole, model)
        yolo.weights.darknet.save(model, args.out / f"ten_{name}.weights")
        model = yolo.load(args.out / f"ten_{name}.weights", cfg=place, classes=classes)
        print(f"{name} masks {masks}: mAP50 {_scores(model, args.data, classes)[1]:.4f}")


def _give_first_classes(whole, model) -> None:
    """Give a model all weights of another one, of its heads the boxes and first classes."""
    for layer, other in zip(model.network.layers, whole.network.layers, strict=True):
        values = other.get_weights()
        if outputs := getattr(layer, "outputs_per_anchor", 0):
            values = [
                part.reshape(*part.shape[:-1], -1, other.outputs_per_anchor)[..., :outputs].reshape(
                    *part.shape[:-1], -1
                )
                for part in values
            ]
        layer.set_weights(values)


def _scores(model, data, classes) -> tuple[dict, float]:
    """Return COCO's figures and VOC's mAP50 of a model on all pictures, for some classes."""
    from yolo.data import folder
    from yolo.evaluation.coco import evaluate_coco
    from yolo.evaluation.voc import evaluate_voc
    from yolo.inference.predictor import detect_samples

    opened = folder.open_folder(data)
    samples = [
        sample for split in opened.names
        for sample in opened.read(split, classes=classes, only_classes=True)
    ]  # fmt: skip
    found = detect_samples(model, samples)
    result = evaluate_voc(found, samples, classes)
    return evaluate_coco(found, samples, classes), result.map_all_point


def drawn():
    """Return a few drawn pictures (B, SIZE, SIZE, 3), their truth, samples and classes."""
    import cv2

    from yolo.data import folder
    from yolo.pictures.files import read_image
    from yolo.training.overfit import choose

    opened = folder.open_folder(folder.default_data()[0])
    samples = choose(opened.read("train"), PICTURES)
    images, boxes = [], np.zeros((len(samples), 16, 4), "float32")
    ids = np.full((len(samples), 16), -1, "int32")
    for number, sample in enumerate(samples):
        picture = read_image(sample.path)
        scale = np.array([SIZE / picture.shape[1], SIZE / picture.shape[0]] * 2, "float32")
        images.append(cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
        count = len(sample.class_ids)
        boxes[number, :count] = sample.boxes_xyxy * scale
        ids[number, :count] = sample.class_ids
    return np.stack(images), {"boxes": boxes, "classes": ids}, samples, opened.classes


def squared(y_true, logits):
    """Return what Darknet minimises with new_coords: squared errors of probabilities."""
    import keras

    return 0.5 * keras.ops.square(keras.ops.sigmoid(logits) - y_true)


def steps(args) -> None:
    """Take ten steps with each cfg's network at 128 x 128 and print the losses."""
    import keras

    import yolo

    images, truth, _, classes = drawn()
    for cfg in args.cfg:
        keras.utils.set_random_seed(0)
        model = yolo.build(cfg, classes=classes, image_size=SIZE)
        model.compile(keras.optimizers.SGD(0.005, momentum=0.9, global_clipnorm=10.0))
        losses = [
            float(model.train_on_batch(images, truth, return_dict=True)["loss"]) for _ in range(10)
        ]
        told = " ".join(f"{loss:.2f}" for loss in losses)
        print(f"{Path(cfg).stem}: {told}: {'falls' if losses[-1] < losses[0] else 'RISES'}")
        keras.backend.clear_session()


def overfit(args) -> None:
    """Learn 8 pictures by heart with our loss and with Darknet's squared errors, from one start."""
    import keras

    import yolo
    from yolo.evaluation.voc import evaluate_voc
    from yolo.inference.predictor import detect_samples

    images, truth, samples, classes = drawn()
    for cfg in args.cfg:
        for name, loss in (("cross-entropy", "cross-entropy"), ("squared errors", squared)):
            keras.utils.set_random_seed(0)
            model = yolo.build(cfg, classes=classes, image_size=SIZE, resize="stretch")
            model.compile(keras.optimizers.Adam(0.001, global_clipnorm=10.0), loss=loss)
            reached = []
            for step in range(1, args.steps + 1):
                model.train_on_batch(images, truth)
                if step % 50 == 0:
                    found = evaluate_voc(detect_samples(model, samples), samples, classes)
                    reached.append(f"{found.map_all_point:.3f}")
                    print(f"{Path(cfg).stem}, {name}: step {step}, mAP50 {reached[-1]}", flush=True)
                    if found.map_all_point > 0.95:
                        break
            keras.backend.clear_session()


def bccd(args) -> None:
    """Train yolov4-tiny and a cfg's network for the same minutes and print AP by class.

    Both start from the same weights, with anchors that are fitted to the training boxes. How many
    epochs the second one gets follows from the seconds that one of each takes.
    """
    import yolo
    from benchmarks.bccd import COMMON
    from yolo.evaluation.voc import table

    minutes = 0.0
    for name, model in (("yolov4-tiny", "yolov4-tiny"), (args.cfg[0].stem, str(args.cfg[0]))):
        given = COMMON | {
            "model": model, "data": str(args.data), "weights": str(args.weights),
            "image_size": (416, 416), "save_dir": str(args.out), "anchors": "auto",
            "positive_iou": 0.4, "translate": 0.05,
        }  # fmt: skip

        def train(kind, epochs, given=given, name=name):
            label = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{name}{kind}"
            return yolo.train(**given, name=label, epochs=epochs, write=print)

        epochs = args.epochs
        if minutes:
            epochs = round(minutes / _minutes_an_epoch(train("_timed", 1 + TIMED)))
        processor = time.process_time()
        run = train("", epochs)
        minutes = epochs * _minutes_an_epoch(run)
        used = (time.process_time() - processor) / 60
        print(
            f"{name}: {epochs} epochs of {60 * minutes / epochs:.0f} s, {minutes:.1f} minutes; "
            f"{used:.1f} of a processor with all else\n{table(run.result)}",
            flush=True,
        )


def _minutes_an_epoch(run) -> float:
    """Return the median over the epochs of a run, without the first, which compiles."""
    with (run.folder / "results.csv").open(encoding="utf-8", newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return float(np.median(seconds[1:])) / 60


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("ap", "cut", "steps", "overfit", "bccd"))
    parser.add_argument("--weights", type=Path, help="Darknet's yolov4-tiny.weights or .conv.29")
    parser.add_argument(
        "--cfg", type=Path, nargs="+", required=True, help="cfgs; ap and cut: theirs"
    )
    parser.add_argument("--data", type=Path, help="the data set")
    parser.add_argument("--steps", type=int, default=STEPS, help="of overfit, at most")
    parser.add_argument("--epochs", type=int, default=60, help="of bccd")
    parser.add_argument("--out", type=Path, default=Path("logs/darknet"), help="folder to write in")
    args = parser.parse_args()
    terminal.import_tensorflow_quietly(verbose=False)
    {"ap": ap, "cut": cut, "steps": steps, "overfit": overfit, "bccd": bccd}[args.what](args)


if __name__ == "__main__":
    main()
