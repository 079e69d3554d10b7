"""Prediction: network, decoding and suppression, by every runtime, and the whole path from files.

`network alone` is ONNX Runtime in float32 without suppression, the yardstick. What is not
installed is left out.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.plan import Group, Limit, Missing, Options, Ready

# Format, how its numbers are stored, and the precision that is asked for.
RUNTIMES = {
    "tensorflow": None,
    "onnx": ("onnx", "none", "float32"),
    "openvino": ("openvino", "none", "float32"),
    "openvino bfloat16": ("openvino", "none", "bfloat16"),
    "litert": ("litert", "none", "float32"),
    "litert int8": ("litert", "int8", "float32"),
}
IN_INT8 = ("yolov4-tiny",)
CALIBRATION = 50  # pictures that give int8 its ranges
ALONE = "network alone"
# name, side, the share of the yardstick's time for the best runtime, and how many times a run
# predicts: the first call after a pause, in which others had the caches, can take twice as long.
MODELS = {
    "yolov4-tiny": (416, 0.30, 16),
    "yolov4": (416, 0.35, 3),
    "retinanet-r50": (512, None, 3),
}
WHOLE = ("network, tensorflow", "files to objects, tensorflow", "network, openvino bfloat16",
         "files to objects, openvino bfloat16")  # fmt: skip
PICTURES = 32


def _group(name: str, batch: int) -> Group:
    side, best, _ = MODELS[name]
    cases = (ALONE, *(how for how in RUNTIMES if "int8" not in how or name in IN_INT8))
    limits = {"tensorflow": Limit("onnx", 1.1)}  # the same work, suppression included
    if best and batch == 1:  # one of them shall keep it
        of_best = ("openvino bfloat16", "litert int8")
        limits |= {how: Limit(ALONE, best) for how in of_best if how in cases}
    return Group(f"prediction: {name}, batch {batch}, {side}", "picture", cases, limits=limits)


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
    from yolo.export.info import target_name
    from yolo.pictures.files import read_image

    pictures = [sample.path for sample in samples_of(options)[:CALIBRATION]]
    (name,) = (name for name in MODELS if f"{name}," in what)
    folder = _models(options)
    for format, quantize in sorted({how[:2] for how in RUNTIMES.values() if how}):
        wanted = quantize == "none" or name in IN_INT8
        if not wanted or (folder / target_name(name, format, quantize)).exists():
            continue
        model = detector(name, options)
        info = exporter.describe(
            model, format, dynamic=format == "onnx", nms=False, quantize=quantize
        )
        try:
            exporter.export(
                model, folder, info, stem=name, picture=read_image(pictures[0]),
                calibration=lambda: map(read_image, pictures),
            )  # fmt: skip
        except YoloError as error:
            print(f"{name}: no {format} ({error})")


def _models(options: Options) -> Path:
    return Path(options.folder) / (f"models-{options.shrink}" + ("-given" * bool(options.weights)))


def detector(name: str, options: Options):
    """Return a model in float32: Darknet's weights where they are given, else seeded ones."""
    import keras

    from yolo import zoo
    from yolo.classes import COCO_CLASSES
    from yolo.weights import loading

    keras.utils.set_random_seed(1)
    if options.weights and name == "yolov4-tiny":
        return loading.load(options.weights)
    side = MODELS[name][0] if options.shrink == 1 else 64
    return zoo.build(name, classes=COCO_CLASSES, image_size=(side, side))


def prepare(case: str, options: Options) -> Ready:
    """Return a prediction; `case` is "model, batch N, side; runtime" or one of `WHOLE`."""
    what, _, how = case.partition("; ")
    if how in WHOLE:
        return _whole(how, options)
    name, batch = what.split(", ")[:2]
    if how == ALONE:
        model = opened(name, "onnx", options)
    else:
        model = by_runtime(name, how, options)
    images = fitted(model, int(batch.split()[1]), options)
    predict = model.predict_raw if how == ALONE else model.detect
    times = MODELS[name][2] if options.shrink == 1 else 1

    def run() -> None:
        for _ in range(times):
            predict(images)

    return Ready(run, times * len(images))


def by_runtime(name: str, how: str, options: Options):
    """Return a model by the name of its runtime."""
    if RUNTIMES[how] is None:
        return detector(name, options)
    return opened(name, how, options)


def opened(name: str, how: str, options: Options):
    """Return an exported model by the name of its runtime.

    Raises:
        Missing: its runtime or its file.
    """
    from yolo.errors import YoloError
    from yolo.export.info import target_name
    from yolo.export.runtimes import ExportedDetector

    format, quantize, precision = RUNTIMES[how]
    path = _models(options) / target_name(name, format, quantize)
    try:
        return ExportedDetector(path, precision=precision)
    except YoloError as error:
        raise Missing(str(error)) from error


def fitted(model, count: int, options: Options):
    """Return pictures (count, side, side, 3) uint8 as the network sees them."""
    import numpy as np

    from benchmarks.pipeline import samples_of
    from yolo.pictures.files import read_image
    from yolo.pictures.fit import fit_image

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
