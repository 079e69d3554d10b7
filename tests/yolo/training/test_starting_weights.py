"""What a run starts from where nobody says: what is cached, can be fetched, or random numbers."""

import dataclasses
import time

import pytest

from tests.yolo.weights.test_download import SHA, SIZE, serving
from yolo.errors import WeightsError
from yolo.models.names import settings_of
from yolo.settings.train import TrainConfig
from yolo.training.starting_weights import settle_weights
from yolo.weights import catalog, download, starts


def settled(caplog, **given):
    caplog.clear()
    lines = []
    config = settle_weights(TrainConfig(**given), lines.append)
    return config, lines, [record.getMessage() for record in caplog.records if record.levelno > 20]


def test_what_can_be_fetched_is_fetched_once_and_said(cache, offered, caplog):
    with serving() as (url, kind):
        offered(url, size=SIZE, sha256=SHA)
        config, (line,), warned = settled(caplog)
        assert config.weights == "yolov4-tiny-coco" and not warned
        assert line.endswith(f"0.7 MB, fetched once from {url}")
        asked = len(kind.asked)
    # by now the server is gone
    for offline in (False, True):
        config, (line,), warned = settled(caplog, offline=offline)
        assert config.weights == "yolov4-tiny-coco" and not warned
        assert line.endswith(f"0.7 MB: {cache / 'file.bin'}")
    assert asked >= 1


@pytest.mark.parametrize("how", ["offline", "environment", "no server", "other file"])
def test_what_cannot_be_fetched_is_random_with_one_line_that_says_what_to_bring(
    how, cache, offered, monkeypatch, caplog
):
    with serving() as (url, _):
        offered(url, size=SIZE, sha256=SHA if how != "other file" else "0" * 64)
        if how == "environment":
            monkeypatch.setenv("KERAS_FOCAL_OFFLINE", "1")
        if how == "no server":
            url = "http://127.0.0.1:9/file.bin"
            offered(url, size=SIZE, sha256=SHA)
        config, _, (warned,) = settled(caplog, offline=how == "offline")
    assert config.weights == "none" and "\n" not in warned
    assert warned.startswith("STARTING FROM RANDOM NUMBERS")
    assert f"bring {url}, 0.7 MB to {cache}" in warned


def test_a_net_that_is_silent_is_known_within_seconds(monkeypatch):
    def silent(*_, **__):
        time.sleep(1)
        raise TimeoutError

    monkeypatch.setattr(download.urllib.request.OpenerDirector, "open", silent)
    begun = time.monotonic()
    assert download.unreachable("http://silent.invalid/x", seconds=0.2) == (
        "no answer within 0.2 seconds"
    )
    assert time.monotonic() - begun < 2


def test_random_on_purpose_and_a_file_are_left_alone(cache, caplog):
    for weights in ("none", "my.weights"):
        config, lines, warned = settled(caplog, weights=weights)
        assert (config.weights, lines, warned) == (weights, [], [])
    with pytest.raises(WeightsError, match="--offline forbids to fetch it; bring https"):
        settle_weights(TrainConfig(weights="yolov4-tiny-coco", offline=True), print)


@pytest.mark.parametrize(
    "model, profile, expected",
    [
        ("yolov4", None, {"yolov4-coco": None, "yolov4-backbone": None}),
        ("retinanet-csp-tiny", None, {"yolov4-tiny-coco": None, "yolov4-tiny-backbone": None}),
        ("retinanet-r50", "torchvision-v1",
         {"retinanet-r50-coco": "torchvision-v1", "resnet-50-imagenet": None,
          "resnet-50-v2-imagenet": None}),
        ("retinanet-r18", None, {"resnet-18-imagenet": None}),
    ],
)  # fmt: skip
def test_what_a_model_starts_from(model, profile, expected):
    assert starts.published(settings_of(model), profile) == expected


def test_a_retinanet_of_another_shape_starts_from_its_backbone():
    best = starts.published(settings_of("retinanet-r50"))
    assert next(iter(best.items())) == ("retinanet-r50-v2-coco", "torchvision-v2")
    narrow = starts.published(settings_of("retinanet-r50", channels=64))
    assert next(iter(narrow)) == "resnet-50-imagenet"
    assert starts.published(settings_of("retinanet", backbone="mobilenet_v2")) == {}


def test_a_cfg_starts_from_what_its_convolutions_are_known_by(shared):
    folder = shared / "weights" / "yolov4_tiny_coco"
    found = starts.published(settings_of(str(folder / "yolov4-tiny-custom.cfg")))
    assert list(found) == ["yolov4-tiny-coco", "yolov4-tiny-backbone"]


def test_the_profile_comes_with_the_weights(cache, monkeypatch, caplog):
    name = "retinanet-r50-v2-coco"
    entry = dataclasses.replace(catalog.CATALOG[name], url="https://x.invalid/a.npz", size=3)
    monkeypatch.setitem(catalog.CATALOG, name, entry)
    cache.mkdir()
    (cache / "a.npz").write_bytes(b"abc")
    config, _, _ = settled(caplog, model="retinanet-r50")
    assert (config.weights, config.profile) == (name, "torchvision-v2")
    config, _, _ = settled(caplog, model="retinanet-r50", profile="paper", offline=True)
    assert (config.weights, config.profile) == ("none", "paper")
