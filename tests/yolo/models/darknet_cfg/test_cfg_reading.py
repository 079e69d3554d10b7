"""What a cfg may look like, and what is refused in one line that names the line."""

import re
import time

import pytest

from tests.yolo.models.darknet_cfg.cfgs import MINI, NEW_COORDS, POOLS
from yolo.errors import ConfigError
from yolo.models.darknet_cfg import cfg


def layers_of(text):
    found = cfg.from_text(text, "my.cfg")
    layers = [(one.kind, one.sources, one.channels, one.stride, one.settings)
              for one in found.layers]  # fmt: skip
    return layers, found.image_size, found.floats()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("=", "\t = "),
        lambda text: text.replace("filters=8", "filters = 8 # eight, of all"),
        lambda text: text.replace("mask=2,1", "mask = 2, 1 # two, three"),
        lambda text: text.replace("[net]", "; remark\n[network]"),
        lambda text: text.replace("[convolutional]", "[conv]").replace("[maxpool]", "[max]"),
        lambda text: text.replace("filters=8", "filters=8\nfilters=99"),
        lambda text: text.replace("size=1\n", ""),
        lambda text: text.replace("channels=3", "channels=3\nangle="),
    ],
)
def test_spellings_of_one_network(change):
    assert change(MINI) != MINI
    assert layers_of(change(MINI)) == layers_of(MINI)


def test_defaults_are_darknets():
    found = cfg.from_text(POOLS, "my.cfg")
    assert found.layers[1].settings == {"size": 4, "stride": 4, "padding": 3}
    assert found.layers[4].settings["size"] == 1 and found.layers[5].settings["mask"] == (0,)
    plain = cfg.from_text(
        "[net]\nwidth=32\nheight=32\n[conv]\n[conv]\nfilters=6\nactivation=linear\n"
        "[yolo]\nclasses=1\n",
        "my.cfg",
    )
    assert plain.layers[0].settings["activation"] == "logistic" and plain.layers[0].channels == 1


def test_heads_with_lists_of_their_own_share_one():
    text = MINI.replace("anchors=4,6, 10,14, 23,27", "anchors=1,2, 3,4, 5,6", 1)
    found = cfg.from_text(text, "my.cfg")
    assert found.anchors == ((1, 2), (3, 4), (5, 6), (4, 6), (10, 14), (23, 27))
    assert found.masks == ((3,), (2, 1))


HEAD = "filters=14\nsize=1\nactivation=linear"


@pytest.mark.parametrize(
    "old, new, line, words",
    [
        ("filters=8", "filters=eight", 9, "no whole number"),
        ("filters=8", "filters=100000000", 9, "outside of 1 to 65536"),
        ("filters=8", "filters=-1", 9, "outside"),
        ("filters=8", "filters", 9, "no word=value"),
        ("filters=8", "filters=1e9", 9, "no whole number"),
        ("height=96", "height=2000000000", 4, "outside"),
        ("height=96", "height=", 2, "height=0"),
        ("channels=3", "channels=1", 5, "channels"),
        ("activation=leaky", "activation=leakyy", 13, "none of linear"),
        ("activation=leaky", "activation=leaky # x", 13, "takes a remark"),
        ("[maxpool]", "[gru]", 40, "[gru] is no layer"),
        ("[upsample]", "[region]", 71, "[region] is no layer"),
        ("from=-2,-3", "from=-9", 37, "-9 is no layer before this one"),
        ("from=-2,-3", "from=-2,4", 37, "4 is no layer before this one, which is number 4"),
        ("from=-2,-3", "from=0", 36, "different sizes"),
        ("layers=-1,4", "layers=-1,99", 75, "99 is no layer"),
        ("layers=-1,4", "layers=-3", 75, "a [yolo]"),
        ("layers=-1,4", "layers=", 74, "needs layers="),
        ("groups=4", "groups=3", 32, "groups=3"),
        ("groups=2", "groups=5", 25, "does not divide"),
        ("group_id=1", "group_id=2", 26, "outside of 0 to 1"),
        ("mask=2,1", "mask=2,3", 62, "no anchor 3"),
        ("mask=2,1", "mask=a", 62, "expected numbers"),
        ("mask=2,1", "mask=0.5", 62, "whole numbers"),
        ("10,14", "10", 63, "pairs"),
        ("anchors=4,6", "anchors=4,nan", 63, "numbers"),
        ("classes=2", "classes=80", 57, "filters=14, but the [yolo] behind it needs 170"),
        ("filters=14", "filters=255", 57, "needs 14"),
        (HEAD, f"batch_normalize=1\n{HEAD}", 62, "without batch_normalize"),
        (HEAD, HEAD.replace("linear", "logistic"), 59, "expected linear"),
        ("scale_x_y=1.05", "scale_x_y=1e30", 66, "outside"),
        ("[upsample]\nstride=2", "[upsample]\nstride=32", 72, "finer than"),
        ("[upsample]\nstride=2", "[upsample]\nstride=1", 74, "different sizes"),
        ("[upsample]\nstride=2\n\n[route]\nlayers=-1,4", "[route]\nlayers=-1", 79,
         "a second [yolo] of stride 8"),
        ("[net]", "width=3\n[net]", 2, "before the first section"),
        ("[net]", "[convolutional]", 2, "not with [net]"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_names_its_line(old, new, line, words):
    assert old in MINI
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        cfg.from_text(MINI.replace(old, new, 1), "my.cfg")
    message = str(caught.value)
    assert message.startswith(f"my.cfg, line {line}: ") and "\n" not in message


def test_coding_of_sizes_and_activation_go_together():
    with pytest.raises(ConfigError, match="new_coords=1; expected logistic"):
        cfg.from_text(NEW_COORDS.replace("logistic", "linear"), "my.cfg")


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "no section"),
        (b"# nothing\n", "no section"),
        (b"\0\1\2[net]", "binary"),
        (b"[net]\nwidth=64\nheight=64\n", r"no \[yolo\]"),
        (b"[net]\n" + b"[shortcut]\nfrom=-1\n" * 200_000, "bytes; expected at most"),
        (b"[net]\n" + b"[upsample]\n" * 3000, "line 2001: more than 2000 sections"),
        (b"[net]\nwidth=64\nheight=64\n" + b"[conv]\nfilters=60000\n" * 9, "line 7: filters"),
        (b"[net]\nwidth=8192\nheight=8192\n[conv]\nfilters=9999\n[conv]\nfilters=6\n"
         b"activation=linear\n[yolo]\nclasses=1\n", "too large"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_at_once(tmp_path, data, words):
    (tmp_path / "my.cfg").write_bytes(data)
    start = time.process_time()
    with pytest.raises(ConfigError, match=words) as caught:
        cfg.read(tmp_path / "my.cfg")
    assert time.process_time() - start < 1 and "\n" not in str(caught.value)


def test_a_cfg_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be opened"):
        cfg.read(tmp_path / "my.cfg")
