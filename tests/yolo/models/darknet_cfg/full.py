"""Darknet's own cfgs against OpenCV: `python -m tests.yolo.models.darknet_cfg.full [NAME ...]`.

For each network with seeded weights: the largest difference of the raw heads and of the decoded
boxes and scores from OpenCV's, with OpenCV's epsilon and with Darknet's, and whether the weights
file is written back byte for byte. All together take some minutes and up to 4 GB.
"""

import contextlib
import os
import re
import runpy
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHARED = Path(os.environ.get("KERAS_FOCAL_SHARED", "../shared"))
# What OpenCV has, and Darknet; both stand beside the variance.
OPENCV, DARKNET = 1e-6, 1e-5
_ROW = re.compile(r"^\| ([\w-]+) \|.*\| ([\d.]+) \| `([\w.-]+\.npz)`", re.MULTILINE)


class Differences(NamedTuple):
    """How far a network is from OpenCV's: heads, boxes in shares of the picture, scores."""

    heads: float
    boxes: float
    scores: float


def oracles(folder: Path) -> dict[str, tuple[float, str]]:
    """Return for each network the gain of its weights and the name of its oracle."""
    rows = _ROW.findall((folder / "MANIFEST.md").read_text(encoding="utf-8"))
    return {name: (float(gain), file) for name, gain, file in rows}


def compare(shared: Path, name: str, work: Path) -> tuple[Differences, Differences, bool]:
    """Return the differences with OpenCV's epsilon and with Darknet's, and if bytes come back."""
    import keras

    import yolo
    from yolo.weights import darknet

    folder = shared / "oracles" / "darknet_cfg"
    gain, file = oracles(folder)[name]
    cfg = next(folder.glob(f"cfg/**/{name}.cfg"))
    weights = work / f"{name}.weights"
    tools = runpy.run_path(str(shared / "tools" / "seeded_weights.py"))
    with contextlib.redirect_stdout(None):
        tools["write_darknet"](str(cfg), str(weights), gain)
    oracle = np.load(folder / file)
    size = oracle["input"].shape[:2]
    classes = re.findall(r"^classes\s*=\s*(\d+)", cfg.read_text(encoding="utf-8"), re.MULTILINE)
    names = [f"class {n}" for n in range(int(classes[0]))]
    model = yolo.load(weights, cfg=cfg, classes=names, image_size=size)
    same = darknet.to_bytes(model, weights) == weights.read_bytes()
    weights.unlink()
    found = []
    for epsilon in (DARKNET, OPENCV):
        for layer in model.network.layers:
            if epsilon == OPENCV and hasattr(layer, "norm"):
                layer.norm.moving_variance.assign(layer.norm.moving_variance - (DARKNET - OPENCV))
        found.append(_differences(model, oracle, size))
    keras.backend.clear_session()
    return found[1], found[0], same


def _differences(model, oracle, size) -> Differences:
    maps = model.network(oracle["input"][None] * 255.0)
    decoded = {key: np.array(value[0]) for key, value in model.decode(maps, size).items()}
    heads, start, boxes, scores = 0.0, 0, 0.0, 0.0
    for stride, raw in maps.items():
        raw = np.array(raw[0])
        if model.architecture.new_coords:  # OpenCV's convolution has the logistic
            raw = 1 / (1 + np.exp(-raw))
        heads = max(heads, np.abs(raw - oracle[f"stride_{stride}"]).max())
        theirs = oracle[f"yolo_{stride}"]
        part = slice(start, start := start + len(theirs))
        shares = decoded["boxes"][part] / np.array([*size[::-1], *size[::-1]])
        centre, sides = (shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]
        # Seeded weights make boxes of thousands of pictures' sides: of those a share counts.
        off = np.abs(np.hstack([centre, sides]) - theirs[:, :4])
        boxes = max(boxes, (off / np.maximum(1.0, np.abs(theirs[:, :4]))).max())
        ours = decoded["scores"][part]
        shown = theirs[:, 5:] > 0  # those that are not above 0.2 are 0
        scores = max(scores, np.abs(ours - theirs[:, 5:])[shown].max(initial=0.0))
        assert (ours[~shown] < 0.2 + 5e-3).all()
    assert start == len(decoded["boxes"])
    return Differences(float(heads), float(boxes), float(scores))


def main(names: list[str]) -> None:
    """Print a line for each network."""
    print("largest differences from OpenCV: heads, boxes, scores; epsilon 1e-6, then 1e-5; bytes")
    with tempfile.TemporaryDirectory() as work:
        for name in names or oracles(SHARED / "oracles" / "darknet_cfg"):
            near, own, same = compare(SHARED, name, Path(work))
            values = "  ".join(f"{value:.0e}" for value in (*near, *own))
            print(f"{name:<40}{values}  {'the same' if same else 'OTHERS'}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(sys.argv[1:])
