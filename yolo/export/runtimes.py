"""Run an exported file by its own runtime, behind the same methods that a `Detector` has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.results import Results
from yolo.errors import ConfigError, WeightsError
from yolo.export.info import (
    IMAGES,
    NMS_OUTPUTS,
    RAW_OUTPUTS,
    ExportInfo,
    read_info,
    runtime_of,
    target_name,
)  # fmt: skip
from yolo.models import postprocess
from yolo.models.thresholds import Thresholds
from yolo.pictures.given import as_batch
from yolo.pictures.sizes import check_sides, checked_size
from yolo.system import forks
from yolo.system.optional import import_optional
from yolo.system.reading import reason

# What a runtime gives back: images (B, H, W, 3) float32 and thresholds to named arrays.
Run = Callable[..., dict[str, np.ndarray]]


class ExportedDetector:
    """An exported file that detects as the `Detector` it was made from.

    Suppression is ours (`boxes.nms`) in every format, so that thresholds mean the same everywhere;
    what a file that suppresses by itself finds is in `detect_inside`.

    Args:
        path: `.onnx`, `.xml` (OpenVINO), `.tflite` or the folder of a SavedModel, with the JSON
            file that the export wrote beside it.
        image_size: (height, width), or both in one number, for a file exported with free sizes;
            else the file's.
        precision: "float32" or, for OpenVINO, "bfloat16": several times as fast on processors
            that multiply it (AMX, AVX512-BF16), with scores that differ in the third digit.

    Raises:
        WeightsError: the file cannot be read, or its description is missing.
        ConfigError: `image_size` for a file whose size is fixed, or a precision that its runtime
            cannot choose.
        YoloError: the runtime is not installed, or this process was forked after a detector was
            made.
    """

    def __init__(
        self, path: str | Path, *, image_size: tuple[int, int] | None = None,
        precision: str = "float32",
    ):  # fmt: skip
        forks.used()
        self.path = Path(path)
        if not self.path.exists():
            raise WeightsError(f"{self.path}: no such file; python -m yolo export writes it")
        self.info: ExportInfo = read_info(self.path)
        self.image_size = self._sized(image_size) if image_size else self.info.image_size
        self.classes, self.resize = self.info.classes, self.info.resize
        self.notes = self.info.notes
        if precision == "float32":
            self._run: Run = _OPENERS[self.info.format](self.path)
        elif self.info.format == "openvino" and precision in _HINTS:
            self._run = _open_openvino(self.path, precision)
        else:
            raise ConfigError(
                f"{self.path}: {self.info.format} computes in the file's own precision; only "
                f"OpenVINO can be asked for {precision}"
            )

    def _sized(self, image_size) -> tuple[int, int]:
        """Return a size that was asked for, unless the file cannot take it."""
        info = self.info
        try:
            wanted = checked_size(image_size, info.resize, any_side=True)
            if wanted != info.image_size and not info.dynamic:
                size = "x".join(str(side) for side in info.image_size)
                raise ConfigError(
                    f"{self.path}: was exported for {size}; leave out --image-size, or export with "
                    "--dynamic"
                )
            if info.resize != "shorter":  # whose pictures get sides that fit
                check_sides(wanted, info.stride)
        except ValueError as error:
            raise ConfigError(f"{self.path}: {error}") from None
        return wanted

    def predict_raw(self, images) -> dict[str, np.ndarray]:
        """Return {"boxes": (B, N, 4), "scores": (B, N, C)} before suppression.

        Args:
            images: (B, H, W, 3), 0..255 RGB, in the network's size; boxes are in its pixels.
        """
        return self._in_batches(images, RAW_OUTPUTS)

    @property
    def thresholds(self) -> Thresholds:
        """Those that the file was exported with."""
        return self.info.thresholds

    def detect(
        self, images, *, score_threshold=None, iou_threshold=None, max_detections=None,
        one_label=None, clip=True,
    ) -> Results:  # fmt: skip
        """Find objects in pictures, as `Detector.detect` does."""
        return postprocess.detect(
            self, images, clip=clip, score_threshold=score_threshold, one_label=one_label,
            iou_threshold=iou_threshold, max_detections=max_detections,
        )  # fmt: skip

    def detect_inside(self, images, *, score_threshold=None) -> list[Detections]:
        """Return what the file finds by its own suppression.

        Args:
            images: (B, H, W, 3), 0..255 RGB, in the network's size.
            score_threshold: instead of the one that the file has.

        Raises:
            ConfigError: the file has no suppression of its own.
        """
        if not self.info.nms:
            raise ConfigError(f"{self.path}: has no suppression inside; use detect")
        chosen = self.thresholds.chosen(score_threshold=score_threshold)
        found = self._in_batches(
            images, NMS_OUTPUTS, score_threshold=chosen.score_threshold,
            iou_threshold=chosen.iou_threshold,
        )  # fmt: skip
        boxes, scores, class_ids, counts = (found[name] for name in NMS_OUTPUTS)
        return [
            Detections(boxes[i, :n], scores[i, :n], class_ids[i, :n], self.classes)
            for i, n in enumerate(counts)
        ]

    def _in_batches(self, images, outputs, **thresholds):
        forks.refuse()
        images = as_batch(images)
        sides = images.shape[1:3]
        if not self.info.dynamic and sides != self.info.image_size:
            height, width = self.info.image_size
            raise ValueError(
                f"{self.path}: takes pictures of {height}x{width} (height x width), received "
                f"{sides[0]}x{sides[1]}; write detect(images), or export with --dynamic"
            )
        if self.info.dynamic:
            check_sides(sides, self.info.stride)
        images = images.astype(np.float32, copy=False)
        size = max(len(images), 1) if self.info.dynamic else 1
        parts = [
            self._run(images[i : i + size], outputs, **thresholds)
            for i in range(0, len(images), size)
        ]
        found = parts[0] if len(parts) == 1 else {
            name: np.concatenate([part[name] for part in parts]) for name in outputs
        }  # fmt: skip
        # ONNX Runtime's sigmoid of a large number may be a rounding error above 1.
        for name in {"scores", "detection_scores"} & set(found):
            if 1 < found[name].max(initial=0) < 1.0001:
                found[name] = np.minimum(found[name], 1)
        return found


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: cannot be opened by its runtime ({reason(error)}); export it again"
    )


def _open_saved_model(path: Path) -> Run:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise _damaged(path, error) from error

    def run(images, outputs, **thresholds):
        function = loaded.signatures["nms" if thresholds else "raw"]
        scalars = {name: tf.constant(value, tf.float32) for name, value in thresholds.items()}
        found = function(images=tf.constant(images), **scalars)
        return {name: found[name].numpy() for name in outputs}

    run.loaded = loaded  # its signatures hold its variables by weak references only
    return run


def _open_onnx(path: Path) -> Run:
    ort = import_optional("onnxruntime", "onnxruntime", "--runtime onnx")
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of thresholds that are inputs, which is their point
    try:
        session = ort.InferenceSession(str(path), options, providers=ort.get_available_providers())
    except (RuntimeError, ValueError, ort.capi.onnxruntime_pybind11_state.InvalidProtobuf) as error:
        raise _damaged(path, error) from error
    # Without this the suppression inside the file would run even where nobody asks for it.
    only_asked = ort.RunOptions()
    only_asked.only_execute_path_to_fetches = True

    def run(images, outputs, **thresholds):
        scalars = {name: np.array(value, np.float32) for name, value in thresholds.items()}
        found = session.run(list(outputs), {IMAGES: images, **scalars}, only_asked)
        return dict(zip(outputs, found, strict=True))

    return run


class _Pool:
    """What only one thread at a time may use: as many as ever were in use at once.

    A thread that ends leaves its own behind for the next one, where a `threading.local` would make
    one for each of a server's threads, short-lived as they may be.
    """

    def __init__(self, make: Callable):
        self._make = make
        self._free = [make()]  # so that what cannot be made fails at once

    @contextlib.contextmanager
    def one(self):
        """Lend one that nobody else has, a new one where none is free."""
        try:
            lent = self._free.pop()  # a list's pop and append are atomic
        except IndexError:
            lent = self._make()
        try:
            yield lent
        finally:
            self._free.append(lent)


_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def _open_openvino(path: Path, precision: str = "float32") -> Run:
    openvino = import_optional("openvino", "openvino", "--runtime openvino")
    core = openvino.Core()
    # Left to itself, OpenVINO computes in bfloat16 on processors that have it.
    settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
    try:
        requests = _Pool(core.compile_model(str(path), "CPU", settings).create_infer_request)
    except RuntimeError as error:
        raise _damaged(path, error) from error

    def run(images, outputs):
        with requests.one() as request:
            found = request.infer({IMAGES: images})
            return {name: np.array(found[name]) for name in outputs}

    return run


def _open_litert(path: Path) -> Run:
    module = import_optional("ai_edge_litert.interpreter", "ai-edge-litert", "--runtime litert")

    def make():
        interpreter = module.Interpreter(str(path), num_threads=os.cpu_count())
        return interpreter.get_signature_runner("raw")

    try:
        runners = _Pool(make)
    except (RuntimeError, ValueError) as error:
        raise _damaged(path, error) from error

    def run(images, outputs):
        with runners.one() as runner:
            found = runner(images=images)
        return {name: found[name] for name in outputs}

    return run


_OPENERS = {
    "saved_model": _open_saved_model,
    "onnx": _open_onnx,
    "openvino": _open_openvino,
    "litert": _open_litert,
}


def open_exported(
    weights: str | Path, runtime: str | None = None, *, image_size=None, precision="float32"
):
    """Open an exported file, named itself or by the weights it was made from.

    Beside weights the export for `runtime`, one of `yolo.export.info.RUNTIMES`, is looked for;
    without it the file decides. The rest is as for `ExportedDetector`.

    Raises:
        ConfigError: the file belongs to another runtime.
        WeightsError: there is no such export.
    """
    weights = Path(weights)
    found = runtime_of(weights)
    if runtime and found and runtime != found:
        raise ConfigError(f"{weights} is for --runtime {found}, not {runtime}")
    if found is None and runtime:
        source, weights = weights, weights.with_name(target_name(weights.stem, runtime))
        if not weights.exists():
            raise WeightsError(
                f"{weights}: no such file; write it with: python -m yolo export --weights "
                f"{source} --format {runtime}"
            )
    return ExportedDetector(weights, image_size=image_size, precision=precision)
