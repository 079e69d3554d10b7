"""Focal loss, forward and gradient, of logits (8, 100000, 20): one RetinaNet batch.

`integer targets` get a class for each anchor, -1 for background, and give the loss of each anchor.
`copy` reads both arrays and writes one: less no loss can do. Peak memory is above the logits'.
"""

from __future__ import annotations

from benchmarks import memory
from benchmarks.plan import Group, Limit, Options, Ready

SHAPE = (8, 100_000, 20)
GROUPS = [
    Group(
        "loss: focal, forward and gradient, (8, 100000, 20)",
        "million elements",
        ("keras", "dense targets", "integer targets", "copy"),
        memory=True,
        limits={
            "dense targets": Limit("keras", 0.45),
            "integer targets": Limit("dense targets", 0.7, memory=0.4),
        },
    )
]


def prepare_folder(what: str, options: Options) -> None:
    """Nothing is read from files."""


def prepare(case: str, options: Options) -> Ready:
    """Return one loss with its gradient, compiled as Keras compiles a training step."""
    import numpy as np
    import tensorflow as tf

    batch, anchors, classes = SHAPE
    anchors //= options.shrink
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((batch, anchors, classes), "float32")
    logits *= 1.5
    logits -= 4.6  # sigmoid(-4.6) is the prior of 0.01
    ids = np.where(rng.random((batch, anchors)) < 0.002, rng.integers(0, classes), -1)
    ids = ids.astype("int32")
    logits = tf.constant(logits)
    memory.start_here()
    case = case.rpartition("; ")[2]
    loss, targets = _loss(case, ids, classes)

    @tf.function
    def both(targets, logits):
        if case == "copy":
            return targets + logits
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(targets, logits)
        return value, tape.gradient(value, logits)

    def run() -> None:
        both(targets, logits)

    return Ready(run, batch * anchors * classes / 1e6)


def _loss(case: str, ids, classes: int):
    """Return a loss of (targets, logits), and its targets."""
    import keras
    import numpy as np
    import tensorflow as tf

    import keras_focal

    if case == "integer targets":
        return lambda y, z: tf.reduce_mean(
            keras_focal.functional.sparse_sigmoid_focal_loss(y, z)
        ), tf.constant(ids)
    dense = tf.constant((ids[..., None] == np.arange(classes)).astype("float32"))
    if case == "keras":
        return keras.losses.BinaryFocalCrossentropy(
            apply_class_balancing=True, from_logits=True
        ), dense
    return keras_focal.FocalLoss(from_logits=True), dense
