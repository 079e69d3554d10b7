"""What a cfg's [net] says of training is a run's default, shown, and overridden by options."""

import numpy as np
import pytest

from tests.yolo.models.darknet_cfg.cfgs import MINI, file_of, weights_of
from yolo.errors import ConfigError
from yolo.settings.of_cfg import of_cfg
from yolo.settings.train import TrainConfig
from yolo.training.start import settle

NET = """batch=64
subdivisions=16
momentum=0.949
decay=0.0004
angle=0
saturation = 1.5
exposure = .5
hue=.1
learning_rate=0.001
burn_in=1000
max_batches=6000
policy=steps
steps=4800,5400
scales=.1,.1
mosaic=1
mixup=0
flip=0
letter_box=1
blur=1
cutmix=0
wavelets=3
"""


def net(tmp_path, words=NET, cfg=MINI):
    path = tmp_path / "my.cfg"
    path.write_text(cfg.replace("[net]\n", f"[net]\n{words}"), encoding="utf-8")
    return str(path)


def test_words_of_net_are_settings_where_the_user_does_not_say(tmp_path):
    found, lines = of_cfg({"model": net(tmp_path), "momentum": 0.8})
    assert found == {
        "image_size": (96, 64), "resize": "letterbox", "batch_size": 4, "weight_decay": 0.0004,
        "hue": 0.1, "warmup_steps": 1000, "saturation": 0.5, "value": 1.0, "mosaic": 0.5,
        "mixup": 0.0, "flip": 0.0,
    }  # fmt: skip
    start = settle({"model": net(tmp_path), "momentum": 0.8, "data": "somewhere"})
    assert (start.config.momentum, start.config.batch_size) == (0.8, 4)
    said = []
    start.with_data(said.append)
    assert said == lines and "--image-size 96x64 --resize letterbox --batch-size 4" in said[0]
    assert "momentum" not in said[0] and said[0].endswith("options override it")


def test_each_word_that_is_left_out_is_named_once_with_its_reason(tmp_path):
    _, lines = of_cfg({"model": net(tmp_path)})
    (told,) = [line for line in lines if "of [net] not taken over" in line]
    for word in ("subdivisions=16", "learning_rate=0.001", "max_batches=6000", "blur=1",
                 "policy=steps, steps=4800,5400, scales=.1,.1 (the rate falls"):  # fmt: skip
        assert told.count(word) == 1
    assert "angle" not in told and "cutmix" not in told and "momentum" not in told
    number = (tmp_path / "my.cfg").read_text(encoding="utf-8").splitlines().index("wavelets=3") + 1
    assert any(f"not known here: wavelets (line {number})" in line for line in lines)


def test_words_of_layers_that_concern_training_are_named_once(tmp_path):
    words = MINI.replace("filters=8\n", "filters=8\nstopbackward=800\nlearning_rate=2\n")
    _, lines = of_cfg({"model": net(tmp_path, "", words)})
    (told,) = [line for line in lines if "stopbackward" in line]
    assert "stopbackward (see freeze_epochs); learning_rate (all layers learn at one" in told
    assert len([line for line in lines if "not known" in line]) == 0


def test_a_cfg_for_detecting_says_nothing_of_batches(tmp_path):
    found, lines = of_cfg({"model": net(tmp_path, "batch=1\nsubdivisions=1\n")})
    assert "batch_size" not in found and any("batch=1 (one picture" in line for line in lines)
    assert of_cfg({"model": "yolov4-tiny"}) == ({}, [])
    few, _ = of_cfg({"model": net(tmp_path, "batch=4\nsubdivisions=8\n")})
    assert few["batch_size"] == 1


@pytest.mark.parametrize(
    "word", ["momentum=1.5", "batch=0", "hue=.9", "saturation=0", "burn_in=many", "mosaic=yes"]
)
def test_a_word_outside_its_range_is_refused_with_its_line(tmp_path, word):
    with pytest.raises(ConfigError, match=rf"my.cfg, line 3: {word.partition('=')[0]}="):
        of_cfg({"model": net(tmp_path, f"{word}\n")})


def test_sizes_are_those_of_the_network_and_not_multiples_of_32(tmp_path):
    model = net(tmp_path, "")
    assert settle({"model": model, "image_size": (104, 72)}).config.image_size == (104, 72)
    with pytest.raises(ConfigError, match=r"my.cfg, line \d+: with a height of 100 it joins maps"):
        settle({"model": model, "image_size": (100, 64)})
    assert TrainConfig(model=model, image_size=(104, 72)).image_size == (104, 72)


def test_a_stride_above_32_allows_no_sizes_that_vary_by_32(tmp_path):
    wide = MINI.replace("size=2\nstride=2\n", "size=16\nstride=16\n").replace(
        "[upsample]\nstride=2", "[upsample]\nstride=16"
    )
    model = net(tmp_path, "", wide.replace("width=64\nheight=96", "width=128\nheight=64"))
    assert of_cfg({"model": model})[0]["image_size"] == (64, 128)
    for option in ({"multi_scale": True}, {"resize": "shorter"}):
        with pytest.raises(ConfigError, match="a stride of 64, and --multi-scale and --resize"):
            of_cfg({"model": model, **option})


def test_whole_weights_bring_the_cfg_beside_them_and_a_model_overrides_it(tmp_path):
    path = tmp_path / "my.weights"
    path.write_bytes(file_of(weights_of(MINI, np.random.default_rng(0))))
    given = {"weights": str(path), "data": "somewhere"}
    assert settle(given).config.model == TrainConfig.model
    model = net(tmp_path)
    start = settle(given)
    assert start.config.model == model and start.config.image_size == (96, 64)
    assert start.config.batch_size == TrainConfig.batch_size  # how to train says one that is named
    assert settle({**given, "model": model}).config.batch_size == 4
    said = []
    start.with_data(said.append)
    assert said[0].startswith(f"the model is that of {model}, beside {path}")
    assert settle({**given, "model": "yolov4"}).config.model == "yolov4"
    path.write_bytes(path.read_bytes()[:-4])  # of another network, or damaged
    assert settle(given).config.model == TrainConfig.model
