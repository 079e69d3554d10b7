"""A loss that does not work element by element is refused at `compile`, by trying it."""

import keras
import pytest
from keras import ops

import keras_focal
import yolo

MODELS = ("yolov4-tiny", "retinanet-csp-tiny")


@pytest.fixture(scope="module")
def built():
    """Return a detector of each kind, compiled again and again."""
    return {name: yolo.build(name, classes=["a", "b", "c"], image_size=(64, 64)) for name in MODELS}


def per_positive(y_true, logits):
    """Divide by the number of positives, so that each value depends on all labels."""
    return ops.square(y_true - logits) / ops.sum(y_true)


def hardest(y_true, logits):
    """Keep what is more than half of the batch's largest, which only far logits show."""
    values = ops.square(y_true - logits)
    return ops.where(values > 0.5 * ops.max(values), values, 0.0)


def within_margin(y_true, logits):
    """Be content with logits on the right side."""
    return ops.relu(0.1 - (2.0 * y_true - 1.0) * logits)


def normalised(y_true, logits):
    """Divide by the batch's largest, so that each value depends on all logits."""
    values = ops.square(y_true - logits)
    return values / ops.max(values)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "loss, received, instead",
    [
        (keras_focal.CategoricalFocalLoss(), "one for all classes", "keras_focal.FocalLoss()"),
        (keras_focal.SparseCategoricalFocalLoss(), "one for all classes", "keras_focal.FocalLoss"),
        (keras.losses.CategoricalFocalCrossentropy(), "one for all", "BinaryFocalCrossentropy()"),
        (keras.losses.SparseCategoricalCrossentropy(), "one for all", "BinaryCrossentropy()"),
        (keras.losses.CosineSimilarity(), "one for all classes", "MeanSquaredError()"),
        (keras.losses.Dice(), "1 for 2 from Dice", "keras_focal.FocalLoss()"),
        (keras.losses.Tversky(), "1 for 2 from Tversky", "keras_focal.FocalLoss()"),
        (lambda y, z: ops.mean(ops.square(y - z)), "1 for 2", "keras_focal.FocalLoss()"),
        (lambda y, z: 0.0 * (y - z), "or on no logit from <lambda>", "keras_focal.FocalLoss()"),
        (per_positive, "labels of others, or", "keras_focal.FocalLoss()"),
        (hardest, "logits or labels of others", "keras_focal.FocalLoss()"),
        (keras.losses.binary_crossentropy, "or on no logit", "BinaryCrossentropy()"),
        (keras.losses.CTC(), r"an error \(.*from CTC", "keras_focal.FocalLoss()"),
        (lambda y: y, r"an error \(.*from <lambda>", "keras_focal.FocalLoss()"),
        (
            normalised,
            "depend on the logits or labels of others.* from normalised",
            "keras_focal.FocalLoss()",
        ),
    ],
)
def test_what_mixes_values_is_refused_with_the_loss_to_take(built, name, loss, received, instead):
    built[name].compile("sgd", loss="focal")
    with pytest.raises(ValueError, match=f"element by element.*{received}") as caught:
        built[name].compile("sgd", loss=loss)
    assert "write loss=" in str(caught.value) and instead in str(caught.value)
    assert "\n" not in str(caught.value)
    assert built[name].get_compile_config()["loss"]["class_name"] == "FocalLoss", "as it was"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "loss",
    [
        "focal",
        "cross-entropy",
        keras.losses.MeanSquaredError(),
        keras.losses.Huber(),
        keras.losses.Hinge(),
        keras_focal.VarifocalLoss(),
        keras_focal.FocalLoss(label_smoothing=0.1, ignore_label=-1),
        keras_focal.OnlineHardExampleMining(hardest=1),
        within_margin,
        lambda y, z: ops.square(y - z),
        lambda y, z: ops.sum(ops.square(y - z), axis=-1),
    ],
)
def test_what_works_element_by_element_is_taken(built, name, loss):
    built[name].compile("sgd", loss=loss)


def test_weights_of_classes_are_held_against_the_classes_at_compile(built):
    built["retinanet-csp-tiny"].compile("sgd", loss=keras_focal.FocalLoss(alpha=(0.1, 0.2, 0.3)))
    with pytest.raises(ValueError, match="alpha: expected one number for each of the 3 classes"):
        built["retinanet-csp-tiny"].compile("sgd", loss=keras_focal.FocalLoss(alpha=(0.1, 0.2)))
