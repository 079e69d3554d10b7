"""ResNet-18 to ResNet-152, with the layers and names of torchvision's."""

from __future__ import annotations

import keras

from yolo.models.layers import ConvNorm

# Residual blocks of each stage, and whether a block is a bottleneck of 1x1, 3x3 and 1x1.
RESNET_STAGES = {
    "resnet-18": ((2, 2, 2, 2), False),
    "resnet-34": ((3, 4, 6, 3), False),
    "resnet-50": ((3, 4, 6, 3), True),
    "resnet-101": ((3, 4, 23, 3), True),
    "resnet-152": ((3, 8, 36, 3), True),
}


def resnet(images, name: str, *, epsilon: float = 1e-5, frozen_norm: bool = False) -> dict:
    """Return {8, 16, 32: (batch, h, w, channels)}, C3 to C5 by stride, of a key of `RESNET_STAGES`.

    A layer is called backbone_ and torchvision's name for it, with _ for the dots. Pictures come
    preprocessed as the weights want it; a frozen norm is a fixed scale and shift.

    Reference:
        He et al. (2016), Deep Residual Learning for Image Recognition, table 1.
    """
    blocks, bottleneck = RESNET_STAGES[name]
    # A residual sum doubles the variance unless norm statistics undo it. With its branches
    # weighed by 1 / sqrt(depth) a fresh network passes on pictures of any depth at their scale,
    # which frozen norms and the prior of the class head both need. De and Smith (2020).
    weight = sum(blocks) ** -0.5

    def conv(x, filters, size, part, *, stride=1, activation="relu", scale=1.0):
        norm = {
            "epsilon": epsilon,
            "frozen": frozen_norm,
            "gamma_initializer": keras.initializers.Constant(scale),
        }
        return ConvNorm(
            filters, size, stride=stride, activation=activation, norm=norm, name=f"backbone_{part}"
        )(x)

    x = conv(images, 64, 7, "conv1", stride=2)
    x = keras.layers.ZeroPadding2D(1, name="backbone_pad")(x)  # after ReLU 0 is the least value
    x = keras.layers.MaxPooling2D(3, strides=2, name="backbone_maxpool")(x)
    maps = {}
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            part, width = f"layer{stage}_{block}", 32 * 2**stage
            if bottleneck:
                # He et al. step in the first convolution, torchvision's weights in the second.
                y = conv(x, width, 1, f"{part}_conv1")
                y = conv(y, width, 3, f"{part}_conv2", stride=stride)
                y = conv(y, 4 * width, 1, f"{part}_conv3", activation="linear", scale=weight)
            else:
                y = conv(x, width, 3, f"{part}_conv1", stride=stride)
                y = conv(y, width, 3, f"{part}_conv2", activation="linear", scale=weight)
            if stride > 1 or x.shape[-1] != y.shape[-1]:
                x = conv(
                    x, y.shape[-1], 1, f"{part}_downsample", stride=stride, activation="linear"
                )
            x = keras.layers.Add(name=f"backbone_{part}_sum")([x, y])
            x = keras.layers.ReLU(name=f"backbone_{part}_relu")(x)
        maps[2 ** (stage + 1)] = x
    return {stride: maps[stride] for stride in (8, 16, 32)}
