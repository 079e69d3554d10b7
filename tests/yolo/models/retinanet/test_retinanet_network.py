"""The network: its size, its outputs, torchvision's numbers, and what it starts from."""

import json
import sys
from functools import partial

import keras
import numpy as np
import pytest

import yolo
from yolo.errors import ConfigError
from yolo.models.retinanet.settings import RetinaNetLoss

CLASSES_91 = [f"class {i}" for i in range(91)]


def weights_of(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.mark.parametrize(
    "options, trainable, total",
    [
        ({"profile": "torchvision-v1"}, 34_014_999, 34_014_999 + 4 * 26_560),
        ({"profile": "torchvision-v1", "frozen_norm": False}, 34_068_119, 34_068_119 + 53_120),
        ({"profile": "torchvision-v2"}, 38_198_935, 38_198_935 + 53_120),
    ],
)
def test_the_number_of_weights_is_torchvisions(options, trainable, total):
    model = yolo.build("retinanet-r50", classes=CLASSES_91, image_size=(64, 64), **options)
    assert weights_of(model.network.trainable_weights) == trainable
    assert model.count_params() == total


def test_the_number_of_weights_is_keras_retinanets():
    model = yolo.build("retinanet-r50", classes=CLASSES_91[:80])
    assert model.count_params() == 38_021_812
    assert weights_of(model.network.trainable_weights) == 37_915_572


@pytest.mark.parametrize("version", [1, 2])
def test_outputs_are_torchvisions(version, shared, tmp_path):
    oracle = shared / "oracles" / "torchvision_retinanet_seeded"
    sys.path.insert(0, str(shared / "tools"))
    try:
        from seeded_weights import seeded_tensor
    finally:
        sys.path.pop(0)
    names = json.loads((oracle / f"v{version}_state_dict.json").read_text(encoding="utf-8"))
    path = tmp_path / "weights.npz"
    np.savez(path, **{name: seeded_tensor(name, tuple(shape)) for name, shape in names.items()})
    model = yolo.build("retinanet-r50", classes=CLASSES_91, image_size=(128, 192),
                       profile=f"torchvision-v{version}")  # fmt: skip
    yolo.weights.torchvision.read(path).fill(model)
    expected = np.load(oracle / f"v{version}_128x192.npz")
    normalised = expected["input"].transpose(0, 2, 3, 1)
    deviation, mean = np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406])
    images = ((normalised * deviation + mean) * 255).astype("float32")
    levels = {"fpn_output_3": "fpn_0", "fpn_output_4": "fpn_1", "fpn_output_5": "fpn_2",
              "fpn_p6": "fpn_p6", "fpn_p7": "fpn_p7"}  # fmt: skip
    probe = keras.Model(
        model.network.input,
        [*(model.network.get_layer(name).output for name in levels),
         *(model.network.output[name] for name in ("class_logits", "box_deltas"))],
    )  # fmt: skip
    found = [np.array(one) for one in probe(images)]
    for value, name in zip(found, [*levels.values(), "cls_logits", "bbox_regression"], strict=True):
        wanted = expected[name]
        error = np.abs((value.transpose(0, 3, 1, 2) if value.ndim == 4 else value) - wanted)
        assert error.max() < 1e-3 and error.mean() < 1e-4, name
    np.testing.assert_array_equal(model.anchors((128, 192)), expected["anchors"])


def test_fewer_channels_make_a_pyramid_and_subnets_of_as_many():
    build = partial(yolo.build, "retinanet-csp-tiny", classes=["a"], image_size=(64, 64))
    narrow, wide = build(), build(channels=256)
    widths = [
        layer.filters
        for layer in narrow.network.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.name.startswith(("fpn", "class", "box"))
    ]
    assert widths == [64] * (3 + 3 + 2 + 4 + 4)
    # Each subnet has four 3x3 convolutions of channels to channels.
    saved = 8 * (9 * 256 * 256 + 256 - 9 * 64 * 64 - 64)
    assert wide.count_params() - narrow.count_params() > saved
    assert narrow.network(np.zeros((1, 64, 64, 3), "uint8"))["box_deltas"].shape == (1, 774, 4)
    with pytest.raises(ConfigError, match="channels is a multiple of 32, not 100"):
        build(channels=100)


@pytest.mark.parametrize("size", [(64, 96), (75, 100), (33, 65)])
def test_any_size_gives_an_output_for_every_anchor(size):
    model = yolo.build("retinanet-csp-tiny", classes=["a", "b"], image_size=(64, 96))
    count = len(model.anchors(size))
    for images in (np.zeros((2, *size, 3), "uint8"), np.zeros((2, *size, 3), "float32")):
        outputs = model.network(images)
        assert {name: tuple(value.shape) for name, value in outputs.items()} == {
            "class_logits": (2, count, 2),
            "box_deltas": (2, count, 4),
        }
        assert all(value.dtype == "float32" for value in outputs.values())


def test_a_batch_of_larger_pictures_needs_no_new_model():
    model = yolo.build("retinanet-r18", classes=["a"], image_size=(64, 64))
    found = model.predict_raw(np.zeros((1, 96, 64, 3), "uint8"))
    assert found["boxes"].shape[0] == 1 and found["scores"].shape[-1] == 1


@pytest.mark.parametrize("prior, most", [(0.01, 1.03), (0.5, None)])
def test_the_first_loss_is_the_papers(prior, most):
    """7.2415 / N_pos + 1.1284 with the prior; without it five orders more.

    The anchors are the paper's; how the maps are made does not matter while the weights are small.
    """
    keras.utils.set_random_seed(1)
    model = yolo.build("retinanet-csp-tiny", classes=CLASSES_91[:80], image_size=(800, 800),
                       prior=prior, channels=32)  # fmt: skip
    model.compile("sgd", loss="focal")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1, 800, 800, 3), "uint8")
    anchors = model.anchors((800, 800))
    whole = np.flatnonzero((anchors.min(axis=1) > 0) & (anchors.max(axis=1) < 800))
    boxes = anchors[whole[:: len(whole) // 6]][None]  # overlapping their anchors wholly
    truth = {"boxes": boxes, "classes": np.arange(boxes.shape[1], dtype="int32")[None]}
    outputs = model.network(images)
    from yolo.models.retinanet.targets import assign

    matched = assign(model.architecture, model.loss_settings, (800, 800), anchors, boxes,
                     truth["classes"]).matched  # fmt: skip
    positives = int((np.array(matched) >= 0).sum())
    ignored = int((np.array(matched) == -2).sum())
    model.compute_loss(images, truth, outputs)
    value = {tracker.name: float(tracker.result()) for tracker in model.part_trackers}["class_loss"]
    counted = 1 - ignored / len(anchors)
    if most:
        assert value == pytest.approx(7.2415 * counted / positives + 1.1284, rel=0.03)
    else:
        assert value == pytest.approx(1.2486e6 * counted / positives, rel=0.03)


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenet_v3", "efficientnet_v2", "resnet-34"])
def test_backbones_give_three_maps(backbone):
    model = yolo.build("retinanet", backbone=backbone, classes=["a"], image_size=(64, 64),
                       channels=32)  # fmt: skip
    outputs = model.network(np.full((1, 64, 96, 3), 99, "uint8"))
    assert outputs["class_logits"].shape == (1, len(model.anchors((64, 96))), 1)
    assert np.isfinite(outputs["class_logits"]).all()
    again = yolo.Detector.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        again.network(np.full((1, 64, 96, 3), 99, "uint8"))["box_deltas"], outputs["box_deltas"]
    )


def test_an_unknown_backbone_gets_the_nearest_proposed():
    with pytest.raises(ConfigError, match="VGG16"):
        yolo.build("retinanet", backbone="vgg_61", classes=["a"])


@pytest.mark.parametrize(
    "name, stages, frozen",
    [
        ("retinanet-r18", 1, {"conv1"}),
        ("retinanet-r18", 2, {"conv1", "layer1"}),
        ("retinanet-csp-tiny", 1, {"conv"}),
    ],
)
def test_frozen_stages_stay_frozen(name, stages, frozen):
    model = yolo.build(name, classes=["a"], image_size=(64, 64), frozen_stages=stages)

    def still():
        return {
            layer.name.split("_")[1]
            for layer in model.network.layers
            if layer.weights and not layer.trainable
        }

    assert still() == frozen
    model.set_backbone_trainable(False)
    everything = [x for x in model.network.layers if x.name.startswith("backbone_")]
    assert not any(layer.trainable for layer in everything)
    model.set_backbone_trainable(True)
    assert still() == frozen


@pytest.mark.parametrize("backbone", ["resnet-18", "MobileNetV2"])
def test_frozen_norm_learns_nothing(backbone):
    model = yolo.build(
        "retinanet", backbone=backbone, classes=["a"], image_size=(64, 64), frozen_norm=True,
        channels=32,
    )  # fmt: skip
    model.set_backbone_trainable(True)
    names = {
        weight.name
        for layer in model.network.layers
        if layer.name.startswith("backbone_")
        for weight in layer.trainable_weights
    }
    assert names <= {"kernel", "bias"} and names
    norms = [w for w in model.network.weights if w.path.endswith(("moving_mean", "gamma"))]
    before = [np.array(one) for one in norms]
    model.compile("sgd", loss="focal", run_eagerly=True)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), "uint8")
    truth = {"boxes": np.array([[[8, 8, 40, 40]]] * 2, "float32"),
             "classes": np.zeros((2, 1), "int32")}  # fmt: skip
    model.train_on_batch(images, truth)
    for one, old in zip(norms, before, strict=True):
        np.testing.assert_array_equal(one, old)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"anchor_ratios": ()}, r"anchor_ratios holds numbers above 0; received \(\)"),
        ({"anchor_scales": (1, -1)}, "anchor_scales holds numbers above 0"),
        ({"anchor_sizes": (32, 64)}, "anchor_sizes has one side for each of P3 to P7"),
        ({"anchors": ((9, 9),) * 4}, "equally many for each of P3 to P7; received 4"),
        ({"anchors": ((9, 0),) * 5}, "anchors are pairs .width, height. above 0"),
        ({"normalizer": "object"}, "normalizer is one of .*, not 'object'"),
        ({"channels": 100}, "channels is a multiple of 32, not 100"),
        ({"prior": 1.0}, "prior lies below 1, not 1.0"),
        ({"frozen_stages": 6}, "frozen_stages lies in 0 to 5, not 6"),
        ({"anchor_shapes": 3}, "retinanet-csp-tiny has no option anchor_shapes"),
        ({"profile": "keras"}, "profile is one of paper, .*, not 'keras'"),
    ],
)
def test_a_network_that_cannot_be_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        yolo.build("retinanet-csp-tiny", classes=["a"], image_size=(64, 64), **options)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"matcher": "all"}, "matcher is one of .*, not 'all'"),
        ({"background_iou": 0.6}, "background_iou <= foreground_iou <= 1 must hold; received 0.6"),
        ({"beta": 0.0}, "beta lies above 0, not 0.0"),
    ],
)
def test_a_loss_that_cannot_be_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        RetinaNetLoss(**options)
