"""A network of a cfg trains as the two that are built by hand do: starts, resume, and the way back.

Two runs of four steps on tiny maps: some seconds.
"""

import logging

import numpy as np
import pytest

import yolo
from tests.yolo.models.darknet_cfg.cfgs import NEW_COORDS, file_of, sections_of, weights_of
from tests.yolo.training.conftest import StopsAfter
from yolo.data import folder as dataset
from yolo.export import darknet as export
from yolo.training import run_folder, trainer
from yolo.training.start import begin
from yolo.weights import darknet, loading

pytestmark = pytest.mark.long

# 8 pictures in two batches an epoch: the first one frozen
SETTINGS = {
    "epochs": 2, "batch_size": 4, "freeze_epochs": 1, "precision": "float32", "eager": True,
    "loss": "focal", "mosaic": 1.0, "ema": 0.2, "epochs_between_evaluations": 2, "name": "run",
}  # fmt: skip


@pytest.fixture(scope="module")
def cfg(tmp_path_factory):
    path = tmp_path_factory.mktemp("cfg") / "my.cfg"
    path.write_text(NEW_COORDS, encoding="utf-8")
    return path


def run(cfg, shapes, save_dir, *, resume=False, stop_after=0, **changes):
    """Return the folder of a run and the lines that it showed."""
    given = {"model": str(cfg), "data": str(shapes), "save_dir": str(save_dir), **SETTINGS}
    config = begin(given | changes).config
    data, lines = dataset.open_data(config), []
    folder = save_dir / "run" if resume else run_folder.create(config)
    if not resume:
        run_folder.describe(folder, config, data.classes, data.divided)
    try:
        trainer.train(config, data, folder, resume=resume, stop=StopsAfter(stop_after),
                      write=lambda text, end="": lines.append(text))  # fmt: skip
    except KeyboardInterrupt:
        lines.append("interrupted")
    return folder, lines


@pytest.fixture(scope="module")
def whole(cfg, shapes, tmp_path_factory):
    return run(cfg, shapes, tmp_path_factory.mktemp("whole"))


def test_costs_and_frozen_layers_are_said_before_the_first_step(whole):
    _, lines = whole
    costs = next(n for n, line in enumerate(lines) if "GFLOPs a picture; a step takes" in line)
    first = next(n for n, line in enumerate(lines) if line.startswith("epochs 1 to 1: 2 steps"))
    assert costs < first
    assert lines[first].endswith("backbone (layers 0 to 7 of 16) frozen")


def test_a_resumed_run_equals_an_unbroken_one_to_the_bit(whole, cfg, shapes, tmp_path):
    assert "interrupted" in run(cfg, shapes, tmp_path, stop_after=3)[1]
    folder, _ = run(cfg, shapes, tmp_path, resume=True)
    one, other = (loading.load(place / "best.keras") for place in (whole[0], folder))
    assert one.architecture == other.architecture and one.architecture.new_coords
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_was_trained_goes_back_to_darknet(whole, tmp_path):
    trained = loading.load(whole[0] / "best.keras")
    weights, cfg, names = export.write(trained, tmp_path, "mine")
    assert names.read_text(encoding="utf-8").split() == list(trained.classes)
    words = [words for kind, words in sections_of(cfg.read_text(encoding="utf-8"))
             if kind == "yolo"]  # fmt: skip
    assert [one["classes"] for one in words] == [str(len(trained.classes))] * 2
    again = yolo.load(weights)
    picture = np.full((1, 96, 64, 3), 100.0)
    for stride, raw in trained.network(picture).items():
        np.testing.assert_allclose(again.network(picture)[stride], raw, atol=1e-5)


def test_the_place_where_a_file_is_cut_is_known_by_its_end(cfg, tmp_path, caplog):
    caplog.set_level(logging.INFO, "yolo")
    arrays = weights_of(NEW_COORDS, np.random.default_rng(0))
    path = tmp_path / "my.conv.2"
    path.write_bytes(file_of(arrays[:10]))  # beta, gamma, mean, variance and kernel of each
    model = yolo.build(cfg, classes=["a", "b", "c"])
    loading.start_from(model, path)
    assert "loaded 2 of 6 convolutions, backbone_conv_000 to backbone_conv_001" in caplog.text
    norm = model.network.get_layer("backbone_conv_000").norm
    np.testing.assert_array_equal(norm.beta, arrays[0])
    caplog.clear()
    path = tmp_path / "my.weights"
    path.write_bytes(file_of(arrays))
    assert darknet.load(model, path) == 6
    assert "is for 2 classes and this model has 3: its class logits were left out" in caplog.text
    fresh = ", ".join(f"head_conv_00{number} (class logits)" for number in (4, 5))
    assert f"backbone_conv_000 to head_conv_005; fresh: {fresh}" in caplog.text
