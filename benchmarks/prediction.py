"""Prediction: network, decoding and suppression, by every runtime, and the whole path from files.

`network alone` is ONNX Runtime in float32 without suppression, the yardstick. What is not
installed is left out.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.plan import Group, Limit, Missing, Options, Ready

RUNTIMES = {
    "tensorflow": None,
    "onnx": ("onnx", "float32"),
    "openvino": ("openvino", "float32"),
    "openvino bfloat16": ("openvino", "bfloat16"),
    "litert": ("litert", "float32"),
}
ALONE = "network alone"
# name, side, and the share of the yardstick's time for the best runtime
MODELS = {"yolov4-tiny": (416, 0.30), "yolov4": (416, 0.35), "retinanet-r50": (512, None)}
WHOLE = ("network, tensorflow", "files to objects, tensorflow", "network, openvino bfloat16",
         "files to objects, openvino bfloat16")  # fmt: skip
PICTURES = 32


def _group(name: str, batch: int) -> Group:
    side, best = MODELS[name]
    limits = {"tensorflow": Limit(ALONE, 1.1)}
    if best and batch == 1:
        limits["openvino bfloat16"] = Limit(ALONE, best)
    return Group(
        f"prediction: {name}, batch {batch}, {side}", "picture", (ALONE, *RUNTIMES), limits=limits
    )


GROUPS = [
    _group("yolov4-tiny", 1),
    _group("yolov4-tiny", 8),
    _group("yolov4", 1),
    _group("retinanet-r50", 1),
    Group(
        f"prediction: whole path, yolov4-tiny, batch 1, {MODELS['yolov4-tiny'][0]}", "picture",
        WHOLE,
        limits={WHOLE[1]: Limit(WHOLE[0], 1.25), WHOLE[3]: Limit(WHOLE[2], 1.25)},
    ),
]  # fmt: skip


def prepare_folder(what: str, options: Options) -> None:
    """Export a group's model once, in the formats whose packages are installed."""
    from benchmarks.pipeline import samples_of
    from yolo.errors import YoloError
    from yolo.export import exporter
    from yolo.exported import target_name
    from yolo.images import read_image

    picture = read_image(samples_of(options)[0].path)
    (name,) = (name for name in MODELS if f"{name}," in what)
    for format in ("onnx", "openvino", "litert"):
        folder = _models(options)
        if (folder / target_name(name, format)).exists():
            continue
        model = detector(name, options)
        info = exporter.describe(model, format, dynamic=format == "onnx", nms=False)
        try:
            exporter.export(model, folder, info, stem=name, picture=picture)
        except YoloError as error:
            print(f"{name}: no {format} ({error})")


def _models(options: Options) -> Path:
    return Path(options.folder) / (f"models-{options.shrink}" + ("-given" * bool(options.weights)))


def detector(name: str, options: Options):
    """Return a model in float32: Darknet's weights where they are given, else seeded ones."""
    import keras

    from yolo import saved, zoo
    from yolo.classes import COCO_CLASSES

    keras.utils.set_random_seed(1)
    if options.weights and name == "yolov4-tiny":
        return saved.open_weights(options.weights)
    side = MODELS[name][0] if options.shrink == 1 else 64
    return zoo.build(name, classes=COCO_CLASSES, image_size=(side, side))


def prepare(case: str, options: Options) -> Ready:
    """Return a prediction; `case` is "model, batch N, side; runtime" or one of `WHOLE`."""
    what, _, how = case.partition("; ")
    if how in WHOLE:
        return _whole(how, options)
    name, batch = what.split(", ")[:2]
    if how == ALONE:
        model = opened(name, "onnx", "float32", options)
    else:
        model = by_runtime(name, how, options)
    images = fitted(model, int(batch.split()[1]), options)
    if how == ALONE:
        return Ready(lambda: model.predict_raw(images) and None, len(images))
    return Ready(lambda: model.detect(images) and None, len(images))


def by_runtime(name: str, how: str, options: Options):
    """Return a model by the name of its runtime."""
    if RUNTIMES[how] is None:
        return detector(name, options)
    return opened(name, *RUNTIMES[how], options)


def opened(name: str, format: str, precision: str, options: Options):
    """Return an exported model.

    Raises:
        Missing: its runtime or its file.
    """
    from yolo.errors import YoloError
    from yolo.exported import target_name
    from yolo.inference.runtimes import ExportedDetector

    try:
        return ExportedDetector(_models(options) / target_name(name, format), precision=precision)
    except YoloError as error:
        raise Missing(str(error)) from error


def fitted(model, count: int, options: Options):
    """Return pictures (count, side, side, 3) uint8 as the network sees them."""
    import numpy as np

    from benchmarks.pipeline import samples_of
    from yolo.images import fit_image, read_image

    samples = samples_of(options)
    return np.stack(
        [
            fit_image(read_image(samples[n % len(samples)].path), model.image_size)[0]
            for n in range(count)
        ]
    )


def _whole(case: str, options: Options) -> Ready:
    """Return the network over many pictures, or all from their files to their objects."""
    from benchmarks.pipeline import samples_of
    from yolo.inference.predictor import predict

    what, _, how = case.partition(", ")
    model = by_runtime("yolov4-tiny", how, options)
    count = max(2, PICTURES // options.shrink)
    samples = samples_of(options)
    paths = [samples[n % len(samples)].path for n in range(count)]
    images = fitted(model, count, options)

    def network() -> None:
        for image in images:
            model.predict_raw(image[None])

    def everything() -> None:
        for _ in predict(model, paths, batch_size=1):
            pass

    return Ready(network if what == "network" else everything, count)
