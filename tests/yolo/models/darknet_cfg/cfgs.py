"""Small cfg files of every kind of layer, as text, and an interpreter of them in NumPy."""

import numpy as np

MINI = """# a remark
[net]
width=64
height=96
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=swish

[route]
layers=-1
groups=2
group_id=1

[convolutional]
batch_normalize=1
filters=8
size=3
groups=4
pad=1
activation=mish

[shortcut]
from=-2,-3
activation=leaky

[maxpool]
size=2
stride=2

[maxpool]
size=5
stride=1

[convolutional]
filters=6
size=1
activation=relu

[route]
layers=-1,-2

[convolutional]
filters=14
size=1
activation=linear

[yolo]
mask=2,1
anchors=4,6, 10,14, 23,27
classes=2
num=3
scale_x_y=1.05

[route]
layers=-4

[upsample]
stride=2

[route]
layers=-1,4

[convolutional]
filters=7
size=1
activation=linear

[yolo]
mask=0
anchors=4,6, 10,14, 23,27
classes=2
num=3
scale_x_y=1.2
"""
NEW_COORDS = MINI.replace("activation=linear", "activation=logistic").replace(
    "scale_x_y=", "new_coords=1\nscale_x_y="
)
# Pools with windows that reach over the edge, and sides that no stride divides
POOLS = """[net]
width=104
height=88

[convolutional]
filters=8
size=3
stride=2
pad=1
batch_normalize=1
activation=leaky

[maxpool]
size=4
stride=4

[maxpool]
size=3
stride=2

[maxpool]
size=4
stride=1

[convolutional]
filters=6
activation=linear

[yolo]
classes=1
anchors=14,11
"""


def sections_of(text):
    """Return (kind, words) of each section, in the plainest way."""
    found = []
    for line in text.splitlines():
        if line.startswith("["):
            found.append((line.strip("[]"), {}))
        elif "=" in line:
            word, _, value = line.partition("=")
            found[-1][1][word] = value
    return found


def weights_of(text, rng):
    """Return the arrays of a weights file in order: beta, gamma, mean, variance, kernel."""
    arrays, channels, before = [], [], 3
    for kind, words in sections_of(text)[1:]:
        here = len(channels)
        if kind == "convolutional":
            filters, size = int(words["filters"]), int(words.get("size", 1))
            arrays.append(rng.normal(0, 0.1, filters))
            if words.get("batch_normalize"):
                arrays += [rng.normal(1, 0.1, filters), rng.normal(0, 0.1, filters)]
                arrays.append(rng.uniform(0.5, 1.5, filters))
            inputs = before // int(words.get("groups", 1))
            kernel = rng.normal(0, 1, (filters, inputs, size, size))
            arrays.append(kernel * (inputs * size * size) ** -0.5)
            before = filters
        elif kind == "route":
            sources = [int(n) + (here if int(n) < 0 else 0) for n in words["layers"].split(",")]
            before = sum(channels[n] for n in sources) // int(words.get("groups", 1))
        channels.append(before)
    return [array.astype(np.float32) for array in arrays]


def file_of(arrays, header=(0, 2, 5), seen=0):
    """Return the bytes of a weights file."""
    wide = header[0] * 10 + header[1] >= 2
    head = np.array(header, "<i4").tobytes() + np.array(seen, "<u8" if wide else "<u4").tobytes()
    return head + b"".join(array.astype("<f4").tobytes() for array in arrays)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "linear": lambda x: x,
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "swish": lambda x: x * _sigmoid(x),
    "relu": lambda x: np.maximum(x, 0),
    "logistic": _sigmoid,
}


def heads_of(text, arrays, picture):
    """Return what enters each [yolo], in float64 and in the order of the file, by plain loops.

    Args:
        text: the cfg.
        arrays: what `weights_of` returned.
        picture: (height, width, 3) in 0..1.
    """
    rest, values, heads = iter(arrays), [], []
    x = picture.astype(np.float64)
    for kind, words in sections_of(text)[1:]:
        here, found = len(values), {word: words.get(word) for word in ("layers", "from")}
        named = [
            values[int(n) + (here if int(n) < 0 else 0)]
            for n in (found["layers"] or found["from"] or "").split(",")
            if n
        ]
        if kind == "convolutional":
            x = _convolved(x, words, rest)
        elif kind == "maxpool":
            x = _pooled(x, int(words["size"]), int(words["stride"]))
        elif kind == "upsample":
            x = x.repeat(2, axis=0).repeat(2, axis=1)
        elif kind == "route":
            groups, group = int(words.get("groups", 1)), int(words.get("group_id", 0))
            parts = [np.split(value, groups, axis=-1)[group] for value in named]
            x = np.concatenate(parts, axis=-1)
        elif kind == "shortcut":
            x = x.copy()
            for other in named:
                both = min(x.shape[-1], other.shape[-1])
                x[..., :both] += other[..., :both]
            x = ACTIVATIONS[words.get("activation", "linear")](x)
        else:
            heads.append(x)
        values.append(x)
    assert next(rest, None) is None
    return heads


def _convolved(x, words, rest):
    size, stride = int(words.get("size", 1)), int(words.get("stride", 1))
    pad = size // 2 if words.get("pad") else int(words.get("padding", 0))
    beta = next(rest)
    norm = [next(rest) for _ in range(3)] if words.get("batch_normalize") else None
    kernel = next(rest).astype(np.float64)
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    groups = int(words.get("groups", 1))
    parts = []
    for part, filters in zip(np.split(x, groups, -1), np.split(kernel, groups), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(part, (size, size), axis=(0, 1))
        parts.append(np.einsum("hwcij,fcij->hwf", windows[::stride, ::stride], filters))
    x = np.concatenate(parts, axis=-1)
    if norm is not None:
        gamma, mean, variance = norm
        x = (x - mean) / np.sqrt(variance.astype(np.float64) + 1e-5) * gamma
    return ACTIVATIONS[words.get("activation", "logistic")](x + beta)


def _pooled(x, size, stride):
    before = (size - 1) // 2
    x = np.pad(x, ((before, size), (before, size), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))
    rows, columns = ((side - before - size - 1) // stride + 1 for side in x.shape[:2])
    return windows[::stride, ::stride][:rows, :columns].max(axis=(-1, -2))
