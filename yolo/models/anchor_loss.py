"""The plug: any element-wise Keras loss becomes the confidence or class loss of a detector."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

import keras_focal
from yolo.errors import ConfigError
from yolo.system.reading import shortened

# Those of `loss_names.SCALING_OF`
NAMED_LOSSES = {
    "cross-entropy": keras.losses.BinaryCrossentropy,
    "balanced": keras_focal.BalancedCrossEntropy,
    "focal": keras_focal.FocalLoss,
    "focal-star": keras_focal.FocalLossStar,
    "quality-focal": keras_focal.QualityFocalLoss,
    "varifocal": keras_focal.VarifocalLoss,
    "ohem": keras_focal.OnlineHardExampleMining,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "binary_focal_crossentropy": keras.losses.BinaryFocalCrossentropy,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
    "log_cosh": keras.losses.LogCosh,
    "poisson": keras.losses.Poisson,
    "hinge": keras.losses.Hinge,
    "squared_hinge": keras.losses.SquaredHinge,
}
# Arguments of losses that are the detector's to give
_NOT_PARAMETERS = {
    "loss", "name", "dtype", "reduction", "from_logits", "axis", "ignore_label", "common",
}  # fmt: skip

# What to take instead of a loss that looks at several values at once.
INSTEAD = {
    keras_focal.CategoricalFocalLoss: "keras_focal.FocalLoss()",
    keras_focal.SparseCategoricalFocalLoss: "keras_focal.FocalLoss()",
    keras.losses.CategoricalFocalCrossentropy: "keras.losses.BinaryFocalCrossentropy()",
    keras.losses.CategoricalCrossentropy: "keras.losses.BinaryCrossentropy()",
    keras.losses.SparseCategoricalCrossentropy: "keras.losses.BinaryCrossentropy()",
    keras.losses.CosineSimilarity: "keras.losses.MeanSquaredError()",
}
ANY = "keras_focal.FocalLoss() or keras.losses.BinaryCrossentropy()"


def resolve(loss):
    """Return the loss that a key of `NAMED_LOSSES` stands for; losses and functions as they are.

    Raises:
        ValueError: `loss` is nothing of these.
    """
    if isinstance(loss, str) and loss in NAMED_LOSSES:
        return NAMED_LOSSES[loss]()
    if isinstance(loss, keras.losses.Loss) or (callable(loss) and not isinstance(loss, type)):
        return loss
    raise ValueError(
        "loss must be a keras.losses.Loss that works element by element, a function "
        f"(y_true, logits) or one of {', '.join(map(repr, NAMED_LOSSES))}. Received: {loss!r}"
    )


def named(name: str, parameters: Mapping[str, Any], outputs: int = 0):
    """Return a named loss with parameters that differ from its defaults.

    Args:
        name: a key of `NAMED_LOSSES`.
        parameters: keyword arguments of its class.
        outputs: the length of the last axis that it will meet; 0: not known yet.

    Raises:
        ConfigError: it has no such parameter, or none of such a value.
    """
    kind = NAMED_LOSSES[name]
    known = {one for one in inspect.signature(kind).parameters if one not in _NOT_PARAMETERS}
    known |= {"label_smoothing"} & set(kind().get_config())
    for word in parameters:
        if word not in known:
            has = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise ConfigError(f"--loss-options: {name} has no parameter {word!r}; {has}")
    try:
        loss = kind(**parameters)
        if outputs:
            AnchorLoss(loss).check(outputs)
    except (ValueError, TypeError) as error:
        told = " ".join(f"{word}={value}" for word, value in parameters.items())
        raise ConfigError(f"--loss-options {told}: {name} refuses that: {error}") from None
    return loss


class AnchorLoss:
    """A loss on logits, element by element, made from whatever `resolve` takes.

    A Keras loss given for probabilities is rebuilt from its config for logits, without
    reduction; the caller's object is not changed. One that only knows values (say
    `MeanSquaredError`) gets sigmoid probabilities. A plain function is called as
    function(y_true, logits) on (..., 1) tensors and must keep their shape or drop the last axis.
    A loss with a `select` method, as `keras_focal.OnlineHardExampleMining`, wraps another loss
    and also chooses which anchors count.
    """

    def __init__(self, loss):
        source = resolve(loss)
        self.select = getattr(source, "select", None)
        if self.select is not None:
            source = source.loss
        self.soft_targets = bool(getattr(source, "soft_targets", False))
        self.on_probabilities = False
        self.loss = source
        if isinstance(source, keras.losses.Loss):
            self.loss, self.on_probabilities = _for_logits(source)

    def check(self, classes: int) -> None:
        """Try the loss on a few values, and refuse one that does not work element by element.

        Each loss must move with its own logit where that is wrong, and with no other's logit or
        label, however far they go. `classes` is the length of the last axis that it will meet.

        Raises:
            ValueError: it does not; the message names what to take instead.
        """
        last = classes if isinstance(self.loss, keras_focal.ElementLoss) else 1
        truth = np.arange(2 * last, dtype="float32") % 2
        wrong = (1 - 2 * truth) * np.linspace(0.2, 0.7, 2 * last, dtype="float32")
        if type(self.loss) in INSTEAD:
            raise self._refused("one for all classes together")
        for logits in (wrong, -wrong):
            before = self._tried(truth, logits)
            if before.size != logits.size:
                raise self._refused(f"{before.size} for {logits.size}")
            for moved in sorted({0, 1, logits.size - 1}):
                here = (np.arange(logits.size) == moved).astype("float32")
                near, far = (self._tried(truth, logits + step * here) for step in (0.5, 4.0))
                turned = self._tried(np.abs(truth - here), logits)
                others = [(found != before)[here == 0].any() for found in (near, far, turned)]
                deaf = logits is wrong and near[moved] == before[moved]
                if any(others) or deaf:
                    raise self._refused(
                        "some that depend on the logits or labels of others, or on no logit"
                    )

    def _tried(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Return what the loss makes of as many labels and logits, in the rows of two anchors."""
        tf = sys.modules.get("tensorflow")
        faults = (TypeError, ValueError, *(() if tf is None else (tf.errors.OpError,)))
        tensors = (ops.convert_to_tensor(part.reshape(1, 2, -1)) for part in (truth, logits))
        try:
            return ops.convert_to_numpy(self._elements(*tensors)).ravel()
        except faults as error:
            if isinstance(self.loss, keras_focal.ElementLoss):
                raise  # which says what it expected
            line = str(error).partition("\n")[0]
            raise self._refused(f"an error ({shortened(line)})") from None

    def _refused(self, received: str) -> ValueError:
        name = getattr(self.loss, "__name__", type(self.loss).__name__)
        return ValueError(
            "loss: expected one that works element by element, a value for each logit; received "
            f"{received} from {name}; write loss={INSTEAD.get(type(self.loss), ANY)}"
        )

    def __call__(self, truth, logits, used, boxes_xyxy):
        """Return the loss of each anchor and which anchors count.

        Args:
            truth: (batch, N) in 0..1.
            logits: (batch, N) float32.
            used: (batch, N) float32, 0 for anchors to leave out.
            boxes_xyxy: (batch, N, 4) decoded boxes, for a loss that suppresses overlaps.

        Returns:
            Loss (batch, N), 0 where left out, and `used`, narrowed by the loss's own choice.
        """
        logits = ops.where(used > 0, logits, 0.0)  # see `_chosen`
        values = self._elements(truth[..., None], logits[..., None])
        return self._chosen(ops.reshape(values, ops.shape(truth)), truth > 0, used, boxes_xyxy)

    def of_classes(self, class_ids, quality, logits, used, boxes_xyxy):
        """Return the loss of each anchor, summed over its classes, and which anchors count.

        Args:
            class_ids: (batch, N) int32, the class of the anchor's object.
            quality: (batch, N) in 0..1, target at that class; 0 where there is no object.
            logits: (batch, N, K) float32.
            used: as for a call, and so is what comes back.
            boxes_xyxy: likewise.
        """
        if self._takes_integers():
            ids = ops.where(quality > 0, class_ids, -1)
            values = keras_focal.functional.sparse_sigmoid_focal_loss(
                ids, logits, alpha=self.loss.alpha, gamma=self.loss.gamma, mask=used > 0
            )
            return self._chosen(values, quality > 0, used, boxes_xyxy)
        classes = ops.arange(logits.shape[-1], dtype="int32")
        truth = ops.where(class_ids[..., None] == classes, quality[..., None], 0.0)
        logits = ops.where(used[..., None] > 0, logits, 0.0)  # see `_chosen`
        if isinstance(self.loss, keras_focal.ElementLoss):  # it may weigh classes one by one
            values = self._elements(truth, logits)
        else:  # Keras's own average over the last axis: one of length 1 leaves them whole
            values = self._elements(truth[..., None], logits[..., None])
            values = ops.reshape(values, ops.shape(truth))
        values = ops.sum(values, axis=-1)
        return self._chosen(values, quality > 0, used, boxes_xyxy)

    def _takes_integers(self) -> bool:
        """Tell whether the loss is the plain focal loss, which needs no dense targets."""
        plain = type(self.loss) is keras_focal.FocalLoss
        return plain and not self.loss.label_smoothing and self.loss.ignore_label is None

    def _elements(self, truth, logits):
        """Return the loss of every element of two tensors of one shape."""
        return self.loss(truth, ops.sigmoid(logits) if self.on_probabilities else logits)

    def _chosen(self, values, positive, used, boxes_xyxy):
        """Return losses and `used` of the anchors that count, narrowed by a loss that selects."""
        if self.select is not None:
            chosen = self.select(ops.stop_gradient(values), positive, used > 0, boxes_xyxy)
            used = used * ops.cast(chosen, used.dtype)
        # where, not a product: an infinite loss on an ignored anchor must stay out. So must its
        # logit, for the gradient: 0 times an infinite slope is NaN.
        return ops.where(used > 0, values, 0.0), used


def _for_logits(source: keras.losses.Loss) -> tuple[keras.losses.Loss, bool]:
    """Return an unreduced copy of a loss that takes logits, and whether it cannot.

    A class that says nothing about its arguments (no `get_config` of its own) is copied as it is.
    """
    if type(source).get_config is keras.losses.Loss.get_config:
        loss = object.__new__(type(source))  # copy.copy would go through Keras's serialisation
        vars(loss).update(vars(source))
        loss.reduction = "none"
        if hasattr(loss, "from_logits"):
            loss.from_logits = True
        return loss, not hasattr(loss, "from_logits")
    config = {**source.get_config(), "reduction": "none"}
    if "from_logits" not in config:
        return type(source).from_config(config), True
    return type(source).from_config({**config, "from_logits": True}), False
