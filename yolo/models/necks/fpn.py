"""The feature pyramid of RetinaNet: P3 to P7 from a backbone's C3 to C5."""

from __future__ import annotations

import keras
from keras import ops


class AddEnlarged(keras.layers.Layer):
    """Adds the coarser map, doubled by nearest neighbour and cut to the finer one's size.

    The cut matters where a side is odd: 19 cells stand under 10.
    """

    def call(self, fine, coarse):
        """Map (batch, h, w, c) and (batch, ceil(h / 2), ceil(w / 2), c) to (batch, h, w, c)."""
        shape = ops.shape(fine)
        coarse = ops.repeat(ops.repeat(coarse, 2, axis=1), 2, axis=2)
        return fine + coarse[:, : shape[1], : shape[2]]

    def compute_output_shape(self, fine_shape, coarse_shape):
        """Return the finer map's shape."""
        return fine_shape


def fpn(maps, *, p6_from: str = "c5", channels: int = 256) -> dict:
    """Return {8, 16, 32, 64, 128: (batch, h, w, channels)}, P3 to P7 by stride, from C3 to C5.

    `p6_from`, "c5" or "p5", is what P6 is made from.

    Reference:
        Lin et al. (2017), Feature Pyramid Networks, section 3; P6 and P7: Focal Loss, footnote 2.
    """
    finer = {}
    above = None
    for level in (5, 4, 3):
        inner = keras.layers.Conv2D(channels, 1, name=f"fpn_inner_{level}")(maps[2**level])
        above = inner if above is None else AddEnlarged(name=f"fpn_sum_{level}")(inner, above)
        finer[level] = above
    outputs = {
        2**level: keras.layers.Conv2D(
            channels, 3, padding="same", name=f"fpn_output_{level}"
        )(finer[level])
        for level in (3, 4, 5)
    }  # fmt: skip
    outputs[64] = _half(maps[32] if p6_from == "c5" else outputs[32], channels, "fpn_p6")
    outputs[128] = _half(keras.layers.ReLU(name="fpn_p6_relu")(outputs[64]), channels, "fpn_p7")
    return outputs


def _half(x, channels, name):
    """Halve a map by a 3x3 convolution padded by one on each side, odd sides up.

    Keras's "same" would pad even sides on one end only and shift the level by half a cell
    against weights trained elsewhere.
    """
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(channels, 3, strides=2, name=name)(x)
