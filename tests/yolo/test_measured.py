"""What is measured is what is used, by both families and in tiles; exports: see their tests."""

import keras
import numpy as np
import pytest

import yolo
from tests.yolo.measured import check_scores_agree


@pytest.fixture(scope="module")
def pictures():
    noise = np.random.default_rng(1).integers(0, 255, (2, 12, 20, 3), np.uint8)
    return list(noise.repeat(10, axis=1).repeat(10, axis=2))  # (120, 200, 3) each


@pytest.fixture(scope="module")
def models(pictures):
    """Return a function that builds a tiny network with something to say, each name once."""
    made = {}

    def make(name):
        if name not in made:
            keras.utils.set_random_seed(0)
            options = {"channels": 32} if name.startswith("retinanet") else {}
            model = yolo.build(name, classes=["cat", "狗", "cow"], image_size=(64, 96), **options)
            if name.startswith("retinanet"):  # whose fresh heads say one thing everywhere
                said = model.network(pictures[0][None, :96, :160])
                for head, spread in (("class_logits", 1.0), ("box_deltas", 0.3)):
                    layer = model.network.get_layer(head)
                    layer.kernel.assign(layer.kernel * spread / np.std(said[head]))
            else:  # whose objectness starts from one in a hundred
                for head in ("head_conv_017", "head_conv_020"):
                    layer = model.network.get_layer(head)
                    layer.bias.assign(np.zeros(layer.bias.shape))
            made[name] = model
        return made[name]

    return make


@pytest.mark.parametrize("arguments", [(), ("--tile", "64"), ("--one-label",)])
@pytest.mark.parametrize("name", ["yolov4-tiny", "retinanet-csp-tiny"])
def test_a_prediction_scored_later_scores_as_the_model_does(
    models, pictures, tmp_path, monkeypatch, name, arguments
):
    check_scores_agree(models(name), pictures, tmp_path, monkeypatch, *arguments)
