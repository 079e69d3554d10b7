"""The graph that is exported: float32, from pictures to named boxes and scores; what it costs."""

from __future__ import annotations

import contextlib

import keras
import tensorflow as tf

from yolo.detector import Detector
from yolo.errors import ConfigError
from yolo.export.info import IMAGES
from yolo.models.layers import for_other_machines
from yolo.models.thresholds import Thresholds


def float32_twin(model: Detector, image_size=None) -> Detector:
    """Return a copy of a detector, of its size or another, in float32 on the processor.

    A detector trained in bfloat16 would be exported with bfloat16 maps, which most runtimes
    cannot run; and a GPU may multiply in TF32, too coarse to compare other runtimes with.
    """
    config = model.get_config()
    config["image_size"] = list(image_size or model.image_size)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        with tf.device("CPU:0"):
            twin = Detector.from_config(config)
            twin.set_weights(model.get_weights())
    finally:
        keras.config.set_dtype_policy(before)
    return twin


def _float_layers(network: keras.Model) -> set[str]:
    """Return the names of the layers that int8 would leave little of.

    These are the ones that give the network's outputs, also where levels are put together after
    them, and group norm, which divides by deviations of its own making.
    """
    last = [output._keras_history.operation for output in network.outputs]
    for layer in [one for one in last if isinstance(one, keras.layers.Concatenate)]:
        last += [part._keras_history.operation for part in layer.input]
    norms = [one for one in network.layers if isinstance(one, keras.layers.GroupNormalization)]
    return {layer.name for layer in [*last, *norms]}


@contextlib.contextmanager
def functions_inlined():
    """Let what Keras makes functions of, convolutions in groups, stand in the graph that is traced.

    Converters to ONNX know no call of a function, and whoever counts operations finds none in it.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


class Graph(tf.Module):
    """The functions of an export, over one float32 detector.

    Args:
        detector: in float32.
        dynamic: leave batch, height and width free; else a batch of 1 in the detector's size.
        thresholds: of suppression, where nothing else is asked for.

    Attributes:
        raw: tf.function from `images` to {"boxes", "scores"}.
        nms: tf.function from `images`, `score_threshold` and `iou_threshold` to these and to
            `yolo.export.info.NMS_OUTPUTS`.
        float_parts: what the names of operations contain that must not be quantised to int8:
            the layers that give the network's outputs, their decoding, and group norm.
        served: tf.function from `images` to `info.NMS_OUTPUTS`, by the thresholds above.
    """

    def __init__(self, detector, *, dynamic: bool, thresholds: Thresholds):
        super().__init__()
        # A Keras model as an attribute would be saved with all its functions, whose outputs are
        # keyed by stride; a SavedModel has no place for numbers as keys. The variables suffice.
        self.variables_of_model = [
            variable.value for variable in detector.inference_model().variables
        ]
        parts = sorted(_float_layers(detector.network))
        self.float_parts = ["/decode", *(f"/{name}" for name in parts)]
        self._model = detector.inference_model  # a method, which is no attribute to be saved
        self.max_detections, self.one_label = thresholds.max_detections, thresholds.one_label
        self.thresholds = {
            "score_threshold": thresholds.score_threshold,
            "iou_threshold": thresholds.iou_threshold,
        }
        shape = (None, None, None, 3) if dynamic else (1, *detector.image_size, 3)
        images = tf.TensorSpec(shape, tf.float32, name=IMAGES)
        scalars = [tf.TensorSpec((), tf.float32, name=name) for name in self.thresholds]
        self.raw = tf.function(self._raw, input_signature=[images])
        self.nms = tf.function(self._nms, input_signature=[images, *scalars])
        self.served = tf.function(self._served, input_signature=[images])

    def _raw(self, images):
        with functions_inlined(), for_other_machines():
            found = self._model()(images, training=False)
        return {name: tf.identity(found[name], name=name) for name in ("boxes", "scores")}

    def _nms(self, images, score_threshold, iou_threshold):
        raw = self._raw(images)
        every = raw["scores"]
        if self.one_label:
            every = tf.reduce_max(every, axis=-1, keepdims=True)  # (batch, N, 1)
        boxes, scores, classes, count = tf.image.combined_non_max_suppression(
            raw["boxes"][:, :, None],  # (batch, N, 1, 4): every class has the same boxes
            every,
            max_output_size_per_class=self.max_detections,
            max_total_size=self.max_detections,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            clip_boxes=False,  # would clip pixels to 0..1
        )
        if self.one_label:
            classes = _best_classes(raw, boxes, scores, count)
        return {
            **raw,
            "detection_boxes": boxes,
            "detection_scores": scores,
            "detection_classes": tf.cast(classes, tf.int32),
            "num_detections": count,
        }

    def _served(self, images):
        found = self._nms(images, **{k: tf.constant(v) for k, v in self.thresholds.items()})
        return {name: found[name] for name in found if name not in ("boxes", "scores")}


def _best_classes(raw, boxes, scores, count):
    """Return the best class (batch, K) int32 of the rows that suppression kept, 0 behind them.

    The operation says which rows it kept by their contents only.
    """
    same = tf.reduce_all(boxes[:, :, None] == raw["boxes"][:, None], axis=-1)  # (batch, K, N)
    best = tf.reduce_max(raw["scores"], axis=-1)
    same &= scores[:, :, None] == best[:, None]
    rows = tf.argmax(tf.cast(same, tf.float32), axis=-1, output_type=tf.int32)
    labels = tf.argmax(raw["scores"], axis=-1, output_type=tf.int32)  # (batch, N)
    kept = tf.range(tf.shape(rows)[1])[None] < count[:, None]
    return tf.where(kept, tf.gather(labels, rows, batch_dims=1), 0)


def multiply_adds(network: keras.Model, image_size: tuple[int, int]) -> int:
    """Count the multiply-adds of all convolutions of a network for one picture.

    Convolutions are nearly all there is; additions of biases, normalisation (which is folded
    into them for use) and activations are left out, as is usual. One multiply-add is two FLOPs.

    Raises:
        ConfigError: the backend is not TensorFlow.

    Example:
        >>> import keras
        >>> picture = keras.Input((None, None, 3))
        >>> network = keras.Model(picture, keras.layers.Conv2D(8, 3, padding="same")(picture))
        >>> multiply_adds(network, (4, 6)) == 4 * 6 * 3 * 3 * 3 * 8
        True
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError("multiply-adds are counted in a TensorFlow graph; set KERAS_BACKEND")
    shape = tf.TensorSpec((1, *image_size, 3), "float32")
    with functions_inlined():
        function = tf.function(lambda picture: network(picture, training=False))
        operations = function.get_concrete_function(shape).graph.get_operations()
    return sum(_multiply_adds_of(operation) for operation in operations)


def _multiply_adds_of(operation) -> int:
    """Return the multiply-adds of a convolution, 0 for anything else."""
    if operation.type not in ("Conv2D", "DepthwiseConv2dNative"):
        return 0
    # At each place of the map, (1, h, w, c), every value of the kernel is used once.
    height, width = operation.outputs[0].shape[1:3]
    return height * width * operation.inputs[1].shape.num_elements()
