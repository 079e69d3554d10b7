"""One training step: forward, loss, gradient, update; pictures a second and peak memory.

The batch is random pictures with eight objects each; the optimiser is that of `train.py`, with its
momentum, clipping, weight decay and averages. Peak memory is that of the whole process.
"""

from __future__ import annotations

from benchmarks.plan import Group, Limit, Options, Ready

# name, batch, side; and the share of the peer's time in automatic precision and in float32
STEPS = {
    "yolov4-tiny": (8, 416, Limit("tutorial", 0.40), Limit("tutorial", 0.90)),
    "yolov4": (2, 416, Limit("tutorial", 0.40), None),
    "retinanet-r50": (2, 512, Limit("keras-retinanet", 0.45), None),
}
PRECISIONS = ("float32", "automatic", "automatic, deterministic")
# What is left out of a step, in automatic precision where nothing else is said; the differences to
# the whole step are what each part takes.
IN_FLOAT32 = ", float32"
PARTS = (
    "whole step", "no matching", "no batch norm", "no activations", "plain SGD",
    "convolutions only", "forward only", f"whole step{IN_FLOAT32}",
    f"convolutions only{IN_FLOAT32}",
)  # fmt: skip


OF_PARTS = "parts of a step, "


def _group(name: str) -> Group:
    batch, side, automatic, float32 = STEPS[name]
    limits = {"automatic": automatic, "float32": float32}
    return Group(
        f"training: {name}, batch {batch}, {side}", "picture", PRECISIONS, memory=True,
        limits={case: limit for case, limit in limits.items() if limit},
    )  # fmt: skip


def _parts(name: str) -> Group:
    batch, side, *_ = STEPS[name]
    # All cases of a group are in memory together, and those of a large model take 4 GB each.
    few = tuple(part for part in PARTS if part.startswith(("whole step", "convolutions only")))
    cases = PARTS if name == "yolov4-tiny" else few
    return Group(f"training: {OF_PARTS}{name}, batch {batch}, {side}", "picture", cases)


GROUPS = [*map(_group, STEPS), *map(_parts, STEPS)]
CLASSES = [f"class {n}" for n in range(20)]


def prepare_folder(what: str, options: Options) -> None:
    """Nothing is read from files."""


def prepare(case: str, options: Options) -> Ready:
    """Return a training step; `case` is what a group is of, then a precision or a part."""
    what, _, last = case.rpartition("; ")
    name = what.removeprefix(OF_PARTS).partition(",")[0]
    batch, side = STEPS[name][:2]
    part = last.removesuffix(IN_FLOAT32) if last in PARTS else ""
    leave_out(part, name)
    if options.shrink > 1:
        batch, side = 2, 64
    precision = "float32" if last.endswith("float32") else "auto"
    if "deterministic" in last:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    return step(name, batch, side, precision, part=part)


def step(name: str, batch: int, side: int, precision: str, *, part: str = "") -> Ready:
    """Return one training step of a model.

    Args:
        name: in the zoo.
        batch: pictures.
        side: of the pictures, in pixels.
        precision: as `train.py` takes it.
        part: what of `PARTS` is left out, "" for nothing.
    """
    import keras
    import numpy as np

    from yolo import zoo
    from yolo.settings.train import TrainConfig
    from yolo.training.optimizer import make_optimizer
    from yolo.training.precision import choose_precision

    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(choose_precision(precision))
    model = zoo.build(name, classes=CLASSES, image_size=(side, side))
    plain = part in ("plain SGD", "convolutions only")
    optimizer = keras.optimizers.SGD(0.001) if plain else make_optimizer(
        TrainConfig(), 0.001, steps=1000, variables=model.trainable_variables
    )  # fmt: skip
    model.compile(optimizer, loss="focal")
    images, targets = batch_of(batch, side)
    flop = 6.0 * _multiply_adds(model, side) * batch  # forward once, backward about twice
    if part == "forward only":
        images = keras.ops.convert_to_tensor(images)
        forward = _training_outputs(model)
        return Ready(lambda: np.asarray(forward(images)), batch, flop / 3)
    return Ready(lambda: model.train_on_batch(images, targets), batch, flop)


def batch_of(batch: int, side: int):
    """Return random pictures (batch, side, side, 3) uint8 and eight objects on each."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, side, side, 3), np.uint8)
    corners = np.sort(rng.uniform(0, side, (batch, 8, 2, 2)), axis=2)
    boxes = corners.reshape(batch, 8, 4).astype("float32")
    return images, {"boxes": boxes, "classes": rng.integers(0, 20, (batch, 8)).astype("int32")}


def _multiply_adds(model, side: int) -> float:
    import keras

    from yolo.export.graph import multiply_adds

    if keras.backend.backend() != "tensorflow":
        return 0.0
    return multiply_adds(model.network, (side, side))


def _training_outputs(model):
    """Return a compiled function to one number that needs the whole forward pass."""
    import keras
    import tensorflow as tf

    @tf.function
    def forward(images):
        outputs = model.network(images, training=True)
        return sum(
            keras.ops.sum(keras.ops.cast(one, "float32")) for one in tf.nest.flatten(outputs)
        )

    return forward


def leave_out(part: str, name: str) -> None:
    """Make a part of a model's step do nothing in this process."""
    import keras

    from yolo.models import layers
    from yolo.models.families import FAMILIES
    from yolo.models.names import kind_of

    only = part == "convolutions only"
    if part == "no batch norm" or only:
        layers.BatchNormalization.call = lambda self, inputs, training=None, mask=None: inputs
    if part == "no activations" or only:
        layers.ACTIVATIONS.update(dict.fromkeys(layers.ACTIVATIONS, lambda x: x))
        keras.layers.ReLU.call = lambda self, inputs: inputs
    if part == "no matching" or only:
        loss = FAMILIES[kind_of(name).family].loss

        def mean_of_outputs(config, settings, outputs, *_, **__):
            total = sum(keras.ops.mean(keras.ops.cast(x, "float32")) for x in outputs.values())
            return dict.fromkeys(loss.PARTS, total)

        loss.detection_loss = mean_of_outputs
