"""Every reader with every profile of a RetinaNet: weights mean what they meant, or are refused."""

import keras
import numpy as np
import pytest

import yolo
from tests.yolo.weights.test_torchvision import state_dict
from yolo.errors import WeightsError
from yolo.models.retinanet import network
from yolo.models.retinanet.settings import PROFILES, from_profile
from yolo.weights import darknet
from yolo.weights.loading import start_from

SIZE = (64, 64)


def build(profile, name="retinanet-r18", classes=3, **options):
    names = [f"class {i}" for i in range(classes)]
    options = {"channels": 32, "frozen_norm": True, "profile": profile, **options}
    return yolo.build(name, classes=names, image_size=SIZE, **options)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a file of each reader, by what it holds."""
    folder = tmp_path_factory.mktemp("files")
    whole = state_dict(build("torchvision-v1"))
    named = {"torchvision's RetinaNet": whole}
    named["torchvision's ResNet"] = {
        name.removeprefix("backbone.body."): tensor
        for name, tensor in whole.items()
        if name.startswith("backbone.body.")
    }
    paths = {}
    for what, tensors in named.items():
        paths[what] = folder / f"{what}.npz"
        np.savez(paths[what], **tensors)
    paths["Darknet's backbone"] = folder / "tiny.weights"
    darknet.save(yolo.build("yolov4-tiny", classes=["a"], image_size=SIZE),
                 paths["Darknet's backbone"])  # fmt: skip
    paths["ours"] = folder / "ours.keras"
    build("paper").save(paths["ours"])
    return paths


# What a detector of each profile does with the file: None, or the words of the refusal.
TABLE = {
    "torchvision's ResNet": {},
    "torchvision's RetinaNet": {
        "paper": "profile torchvision-v1, whose anchor_offset is 0.0, not 0.5: choose --profile",
        "torchvision-v2": "whose p6_from is 'p5', not 'c5': choose --profile torchvision-v1",
    },
    "Darknet's backbone": dict.fromkeys(PROFILES, "resnet|Darknet"),
    "ours": {},
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("reader", TABLE)
def test_a_file_fits_or_is_refused(files, reader, profile):
    model = build(profile)
    before = model.get_weights()
    words = TABLE[reader].get(profile)
    if words is None:
        start_from(model, files[reader])
        pairs = zip(before, model.get_weights(), strict=True)
        assert sum(not np.array_equal(old, new) for old, new in pairs) >= 20  # kernels alone
        return
    with pytest.raises(WeightsError, match=words):
        start_from(model, files[reader])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_resnet_computes_the_same_in_every_profile():
    """Place of the stride, order and scale of colours are those of the file, not of the profile."""
    picture = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype("float32")
    weights, maps = None, []
    for profile in PROFILES:
        images = keras.Input((None, None, 3))
        config = from_profile(profile, backbone="resnet-50", frozen_norm=True)
        model = keras.Model(images, network._backbone(config, images))
        weights = weights or model.get_weights()
        model.set_weights(weights)
        maps.append(model(picture))
    for other in maps[1:]:
        for stride, values in maps[0].items():
            np.testing.assert_array_equal(other[stride], values)
