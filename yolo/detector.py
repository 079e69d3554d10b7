"""The detector: one Keras model that trains, detects and is saved in one file."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
from keras import ops

from yolo.boxes.results import Results
from yolo.classes import as_names
from yolo.data.door import Door
from yolo.models import (
    postprocess,
    schedules,  # noqa: F401  registers the schedule that saved optimizers carry
)
from yolo.models.anchor_loss import AnchorLoss, resolve
from yolo.models.families import FAMILIES, with_decoding
from yolo.models.frozen import Predicting
from yolo.models.keras_export import KerasExport, refuse_export
from yolo.models.replicas import ReplicatedModel, counted, mean_over_replicas, num_replicas
from yolo.models.thresholds import Thresholds
from yolo.pictures.given import as_batch
from yolo.pictures.sizes import SIZE_MULTIPLE, check_sides, checked_size
from yolo.system import forks

# Keras's own arguments of `compile` that a saved model keeps
COMPILE_OPTIONS = ("run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss")

# Weights that a forward pass in training moves, whatever becomes of the step
MOVED_BY_CALLS = ("/moving_mean", "/moving_variance", "/mean")


@keras.saving.register_keras_serializable(package="yolo")
class Detector(KerasExport, Predicting, ReplicatedModel):
    """A one-stage detector whose confidence or classification loss is what `compile` gets.

    `yolo.build` makes one by name. Class names, anchors, input size and resize mode travel in
    its saved file, so that `keras.models.load_model` gives back all that prediction needs.

    Args:
        architecture: the settings of its family, e.g. a `YOLOv4Config`.
        classes: names, in the order of their ids.
        image_size: (height, width) of the network's picture, or both in one number; for "shorter"
            the shorter side and the most that the longer one may have.
        resize: how pictures get that size: "letterbox" keeps their shape and pads with grey,
            "stretch" does not; "shorter" gives each picture a size of its own.
        notes: plain values that are saved with the model: of its training `epoch`, `val_map50`
            and `split_seed`, the seed by which pictures without lists were divided.
        **kwargs: `name`, `dtype` and the like, as in `keras.Model`.

    Raises:
        ValueError: `classes` are no names, the resize mode is unknown, or a size is no multiple
            of 32 (sizes for "shorter" may be any).

    Example:
        >>> import yolo, keras_focal
        >>> model = yolo.build("yolov4-tiny", classes=["cat", "dog"], image_size=(64, 96))
        >>> model.compile("sgd", loss=keras_focal.FocalLoss())
        >>> maps = model.network(np.zeros((1, 64, 96, 3)))
        >>> {stride: tuple(raw.shape) for stride, raw in maps.items()}
        {16: (1, 4, 6, 21), 32: (1, 2, 3, 21)}
    """

    def __init__(
        self, architecture, *, classes, image_size, resize="letterbox", notes=None, **kwargs
    ):
        forks.used()
        super().__init__(**kwargs)
        self.architecture = architecture
        self.classes = as_names(classes)
        self.resize = resize
        self._notes = dict(notes or {})
        self.set_image_size(image_size)
        family = self._family
        self.network = family.network.build_network(architecture, len(self.classes))
        object.__setattr__(self.network, "export", refuse_export)
        self.part_trackers = [keras.metrics.Mean(name=part) for part in family.loss.PARTS]
        self.loss_settings = self._family.loss_settings()
        self.loss_state = family.loss.make_state(architecture)
        self._element_loss = None
        self.built = True

    def set_image_size(self, image_size) -> None:
        """Set the (height, width) of the network's picture, which larger objects or smaller want.

        Raises:
            ValueError: they are no multiples of 32; ConfigError: they do not fit its cfg.
        """
        cfg = getattr(self.architecture, "darknet", None)
        sides = checked_size(image_size, self.resize, any_side=bool(cfg))
        self.check_sides(sides if self.resize != "shorter" else (SIZE_MULTIPLE,) * 2)
        self.image_size = sides

    def check_sides(self, size) -> None:
        """Refuse a batch's (height, width) that the network's levels do not divide.

        Raises:
            ValueError: they are no multiples of 32; ConfigError: they do not fit its cfg.
        """
        cfg = getattr(self.architecture, "darknet", None)
        cfg.check_size(size) if cfg else check_sides(size)  # "shorter" makes multiples of 32

    @property
    def _family(self):
        return FAMILIES[self.architecture.family]

    def _set_untracked(self, name, value):
        """Set an attribute that Keras shall neither track nor save."""
        object.__setattr__(self, name, value)

    @property
    def notes(self) -> dict:
        """Plain values saved with the model; a trainer keeps its state here."""
        return dict(self._notes)

    @notes.setter
    def notes(self, value: dict):
        self._notes = dict(value)

    def call(self, images, training=None):
        """Return the network's raw outputs for images (B, H, W, 3), 0..255 RGB."""
        forks.refuse()
        if training and keras.backend.backend() == "tensorflow":
            remember = getattr(self.optimizer, "remember", None)
            if remember is not None:  # an optimizer of ours, which may refuse the step
                remember([v for v in self.non_trainable_weights if v.path.endswith(MOVED_BY_CALLS)])
        return self.network(images, training=training)

    # ---------------------------------------------------------------- training

    def compile(self, optimizer="sgd", loss=None, *, loss_settings=None, **kwargs):
        """Configure training.

        Args:
            optimizer: any Keras optimizer.
            loss: the confidence loss (YOLOv4) or classification loss (RetinaNet): any Keras
                loss that works element by element, "focal", "cross-entropy", or a function
                (y_true, logits). None takes the family's usual one, as `train.py` does:
                cross-entropy for YOLOv4, focal loss for RetinaNet.
            loss_settings: weights and thresholds; None takes those that suit `loss`.
            **kwargs: as in Keras; those named in `COMPILE_OPTIONS` are saved with the model.

        Raises:
            ValueError: `loss` does not work element by element; the message names what to take.
        """
        source = resolve(self.architecture.usual_loss if loss is None else loss)
        element_loss = AnchorLoss(source)
        element_loss.check(1 if "confidence_loss" in self._family.loss.PARTS else len(self.classes))
        self._element_loss = element_loss
        self.loss_settings = loss_settings or self._family.loss.default_settings(
            self.architecture, source
        )
        super().compile(optimizer=optimizer, **kwargs)
        self._set_untracked("_loss_source", source)
        options = {name: kwargs[name] for name in COMPILE_OPTIONS if name in kwargs}
        self._set_untracked("_compile_options", options)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Train as Keras's `fit` does, and refuse what no detector can learn from.

        Args:
            x: a `tf.data.Dataset`, a generator or a `keras.utils.PyDataset` of (images,
                {"boxes": ..., "classes": ...}), or images.
            y: {"boxes": ..., "classes": ...} for images: (B, M, 4) xyxy pixels and (B, M) ids.
                Below 0 an id is no class: -1 is padding, -2 an object that is neither right nor
                wrong, -3 a region of many; what lies on these two is no background. See
                `yolo.boxes.labels`.
            *args: as in Keras.
            **kwargs: as in Keras; `validation_data` is looked at, too.

        Raises:
            ValueError: what was received, what is expected and what to write; before the first
                update where it is in the first batch. `yolo.data.door` says what is looked at.
        """
        door = self._door()
        kwargs = door.validation_checked(kwargs)
        with door.explained(), self.learning():
            return super().fit(*door.checked(x, y), *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Return the losses as Keras's `evaluate` does; for arguments and errors see `fit`."""
        door = self._door()
        with door.explained():
            return super().evaluate(*door.checked(x, y), *args, **kwargs)

    def train_on_batch(self, x=None, y=None, *args, **kwargs):
        """Take Keras's step with a batch; for arguments and errors see `fit`."""
        return super().train_on_batch(*self._door().checked(x, y), *args, **kwargs)

    def test_on_batch(self, x=None, y=None, *args, **kwargs):
        """Return the losses of a batch as Keras does; for arguments and errors see `fit`."""
        return super().test_on_batch(*self._door().checked(x, y), *args, **kwargs)

    def _door(self) -> Door:
        return Door(len(self.classes), self.check_sides)

    def train_step(self, *arguments):
        """Take Keras's step; on JAX, one that the optimizer refuses leaves all weights.

        On TensorFlow the optimizer itself puts back what the forward pass has moved.
        """
        found = super().train_step(*arguments)
        keep = getattr(self.optimizer, "keep_if_refused", None)
        on_jax = keras.backend.backend() == "jax"
        return keep(*arguments, found) if keep is not None and on_jax else found

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of a batch and note its parts; what `fit` and `evaluate` call.

        Args:
            x: images (B, H, W, 3); only their size is used.
            y: {"boxes": (B, M, 4) xyxy pixels, "classes": (B, M) int32}, as for `fit`.
            y_pred: the network's raw outputs.
            sample_weight: not supported, must be None.
            training: whether a running mean in the loss moves on.

        Raises:
            ValueError: `sample_weight` is given.
        """
        if sample_weight is not None:
            raise ValueError(
                "Detector takes no sample_weight; repeat or leave out pictures instead."
            )
        state = {}
        if self.loss_state is not None:
            state["average"] = lambda count: self.loss_state(count, training=training)
        parts = self._family.loss.detection_loss(
            self.architecture,
            self.loss_settings,
            y_pred,
            tuple(ops.shape(x)[1:3]),
            y,
            anchor_loss=self._element_loss,
            **state,
        )
        parts = {name: counted(value) for name, value in parts.items()}
        replicas = num_replicas()
        pictures = mean_over_replicas(ops.cast(ops.shape(y["boxes"])[0], "float32"))
        for tracker in self.part_trackers:
            # Each replica holds its share of the sum; the tracker averages over replicas, which
            # have equal weight also where their numbers of pictures differ.
            # The weight, as Keras's own for the loss, also ties the count to the batch: without
            # it TensorFlow counts a step whose data turns out to be exhausted.
            tracker.update_state(parts[tracker.name] * replicas, sample_weight=pictures)
        # Layers' own losses are a mean in Keras's eyes: every replica brings them whole.
        # Stacked: TensorFlow adds three or more scalars that others read, too, in no fixed order.
        loss = ops.sum(ops.stack(list(parts.values()))) + sum(self.losses, 0.0) / replicas
        # A loss that is no number shall spoil the gradients, which may be some, for all to see.
        return loss * ops.where(ops.isfinite(loss), 1.0, float("nan"))

    def set_backbone_trainable(self, trainable: bool) -> None:
        """Freeze or free the backbone, all but what the model's settings keep frozen for good.

        Compile the model again afterwards.

        Args:
            trainable: whether it learns.
        """
        for layer in self.network.layers:
            layer.trainable = trainable or not layer.name.startswith("backbone_")
        self._family.network.freeze(self.architecture, self.network)

    def anchors(self, image_size) -> np.ndarray:
        """Return the network's anchors for a picture's size.

        Args:
            image_size: (height, width) in pixels.

        Returns:
            (A, 4) float32 xyxy pixels, in the order of the raw outputs: finest level first, then
            row, column and the anchors of a cell.
        """
        sides = tuple(int(side) for side in image_size)
        anchors = self._family.decode.make_anchors(self.architecture, sides)
        return ops.convert_to_numpy(anchors)

    # --------------------------------------------------------------- detection

    def decode(self, outputs, image_size) -> dict:
        """Return {"boxes": (B, N, 4), "scores": (B, N, C)} of the network's raw outputs.

        Args:
            outputs: what the network returned.
            image_size: (height, width) of the pictures that it was given.
        """
        return self._family.decode.decode(self.architecture, outputs, tuple(image_size))

    def make_inference_model(self) -> keras.Model:
        """Return the network with its decoding: images to {"boxes": ..., "scores": ...}.

        It shares the detector's weights; this is the graph that is exported.
        """
        return with_decoding(self._family, self.architecture, self.network, len(self.classes))

    def predict_raw(self, images) -> dict:
        """Return {"boxes": (B, N, 4), "scores": (B, N, C)} as NumPy, before suppression.

        Args:
            images: (B, H, W, 3) of any size in multiples of 32, 0..255 RGB; boxes are in its
                pixels.

        Raises:
            ValueError: `images` have another shape, or values that are no picture's.
        """
        forks.refuse()
        images = as_batch(images)
        self.check_sides(images.shape[1:3])
        return self.predicted(images)

    @property
    def thresholds(self) -> Thresholds:
        """What counts as a detection where nobody says: the family's, and what `notes` say."""
        return self.architecture.thresholds.noted(self._notes)

    def detect(
        self, images, *, score_threshold=None, iou_threshold=None, max_detections=None,
        one_label=None, clip=True,
    ) -> Results:  # fmt: skip
        """Find objects in pictures.

        What is not said is the model's own, its `thresholds`.

        Args:
            images: a path, a folder, a picture of Pillow, an array (H, W), (H, W, 1), (H, W, 3)
                RGB or (H, W, 4) RGBA of 0..255, a batch of these, or a list, each of its own
                size. What is not of the model's size is resized as `resize` says.
            score_threshold: report objects that score at least this, in 0..1.
            iou_threshold: of two boxes of a class that overlap more, the better one stays.
            max_detections: at most this many objects a picture.
            one_label: whether an object has one class, its best, and suppression looks at all.
            clip: cut boxes at the picture's edge and drop those outside it, as every file and
                score of ours has them. An object that the edge cuts may get a box that reaches
                over it, to where the rest is guessed to be.

        Returns:
            For each picture its `Detections`, boxes in pixels of the picture given: `Results`,
            a list that also draws, shows and saves.

        Raises:
            ValueError: these are no pictures, a threshold is out of its range, or the model's
                weights are not numbers.
            DatasetError: a file cannot be read.
        """
        return postprocess.detect(
            self, images, clip=clip, score_threshold=score_threshold, one_label=one_label,
            iou_threshold=iou_threshold, max_detections=max_detections,
        )  # fmt: skip

    # ------------------------------------------------------------------ saving

    def get_config(self) -> dict:
        """Return all that rebuilds the model, as plain values."""
        return {
            "family": self.architecture.family,
            "architecture": dataclasses.asdict(self.architecture),
            "classes": list(self.classes),
            "image_size": list(self.image_size),
            "resize": self.resize,
            "notes": self.notes,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> Detector:
        """Rebuild the model that `get_config` describes."""
        config = {key: value for key, value in config.items() if key not in ("dtype", "trainable")}
        family = FAMILIES[config.pop("family")]
        return cls(family.settings(**config.pop("architecture")), **config)

    def get_compile_config(self) -> dict | None:
        """Return what `compile` got as plain values, None if not compiled."""
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "loss": keras.saving.serialize_keras_object(self._loss_source),
            "loss_settings": dataclasses.asdict(self.loss_settings),
            "frozen": [layer.name for layer in self.network.layers if not layer.trainable],
            "options": self._compile_options,
        }

    def compile_from_config(self, config: dict) -> None:
        """Compile as the saved model was, with a built optimizer to load its state into."""
        # The optimizer has state for the layers that were not frozen, and for no others.
        for layer in self.network.layers:
            layer.trainable = layer.name not in config.get("frozen", ())
        self._family.network.freeze(self.architecture, self.network)
        self.compile(
            keras.saving.deserialize_keras_object(config["optimizer"]),
            keras.saving.deserialize_keras_object(config["loss"]),
            loss_settings=self._family.loss_settings(**config["loss_settings"]),
            **config.get("options", {}),
        )
        self.optimizer.build(self.trainable_variables)
