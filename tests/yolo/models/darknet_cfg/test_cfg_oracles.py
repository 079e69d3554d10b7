"""Heads, boxes and bytes of small networks against OpenCV's; `full` compares Darknet's own."""

import gzip
import time

import pytest

from tests.yolo.models.darknet_cfg.full import compare, oracles
from yolo.errors import ConfigError
from yolo.models.darknet_cfg import cfg
from yolo.models.darknet_cfg.known import KNOWN, name_of
from yolo.models.darknet_cfg.network import backbone_end


@pytest.mark.parametrize("name", ["mini", "defaults_explicit", "pools", "tiny_10cls"])
def test_heads_boxes_and_bytes(shared, tmp_path, name):
    near, own, same = compare(shared, name, tmp_path)
    assert max(near) < 1e-4 and max(own) < 5e-3 and same


def test_every_cfg_of_darknet_has_the_layers_and_sizes_that_are_known(shared):
    folder = shared / "oracles" / "darknet_cfg"
    text = (folder / "MANIFEST.md").read_text(encoding="utf-8")
    known = set()
    for name in oracles(folder):
        found = cfg.read(next(folder.glob(f"cfg/**/{name}.cfg")))
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        cells = [cell.strip() for cell in row.split("|")]
        assert f"{20 + 4 * sum(found.floats()):,}" == cells[10]
        assert len(found.layers) == int(cells[4]) and found.classes == int(cells[6])
        heads = []
        for layer in (found.layers[number] for number in found.heads):
            heads.append(f"{layer.stride} ({','.join(map(str, layer.settings['mask']))})")
        assert ", ".join(heads) == cells[5]
        one, two = (sum(found.floats(classes=n)) for n in (1, 2))
        same = name_of(2 * one - two, two - one)
        if same and found.classes == 80:
            known.add(name)
            entry = KNOWN[name] if name in KNOWN else KNOWN[same]
            assert entry.parameters() == sum(found.floats())
            if name in KNOWN:
                assert entry.image_size == found.image_size
                assert abs(2 * found.multiply_adds() / 1e9 - entry.gflops) < 0.06
    assert {"yolov4-custom", "yolov4-tiny-custom"} < known
    not_at_hand = {"yolov3-tiny-prn", "yolov4-csp-x-swish", "yolov7x"}
    assert known - {"yolov4-custom", "yolov4-tiny-custom"} == (
        set(KNOWN) - {"yolov4", "yolov4-tiny"} - not_at_hand
    )


def test_of_networks_of_the_same_counts_the_file_names_its_own():
    counts = KNOWN["yolov4-csp-swish"][:2]
    assert counts == KNOWN["yolov4-csp"][:2]
    names = [name_of(*counts, own) for own in ("", "mine", "yolov4-csp-swish", "yolov7")]
    assert names == ["yolov4-csp", "yolov4-csp", "yolov4-csp-swish", "yolov4-csp"]
    assert name_of(1, 2, "yolov4-csp") is None


def test_odd_cfgs_are_read_as_meant_or_refused_in_a_line_at_once(shared, tmp_path):
    folder = shared / "oracles" / "darknet_cfg" / "cfg" / "odd"
    for path in sorted(folder.iterdir()):
        file = tmp_path / path.name.removesuffix(".gz")
        file.write_bytes(gzip.decompress(path.read_bytes()) if path.suffix == ".gz"
                         else path.read_bytes())  # fmt: skip
        start = time.process_time()
        said = file.read_bytes()[:200].split(b"\n")[0].removeprefix(b"\xef\xbb\xbf")
        if said.startswith(b"# Read it"):
            found = cfg.read(file)
            if b"as mini.cfg" in said:
                assert found.floats() == cfg.read(folder / "mini.cfg").floats()
            continue
        with pytest.raises(ConfigError) as caught:
            cfg.read(file)
        message = str(caught.value)
        assert message.startswith(str(file)) and "\n" not in message
        if b"name the line" in said or b"naming the line" in said:
            assert ", line " in message
        assert time.process_time() - start < 1


# What lies behind is the pooling of SPP or the first narrowing of the neck.
ENDS = {
    "yolov3": 75, "yolov3-tiny": 13, "yolov4-custom": 105, "yolov4-tiny-3l": 27,
    "csresnext50-panet-spp-original-optimal": 81, "yolov4-csp": 99, "yolov4-p6": 187,
    "yolov7-tiny": 33, "yolov7": 58,
}  # fmt: skip


def test_backbones_end_where_the_necks_of_darknets_own_begin(shared):
    folder = shared / "oracles" / "darknet_cfg" / "cfg"
    assert {name: backbone_end(cfg.read(folder / f"{name}.cfg")) for name in ENDS} == ENDS
