"""The cfgs of YOLOv4 and YOLOv4-tiny as they are built by hand here, for those who go back."""

from __future__ import annotations

from yolo.models.backbones.csp_darknet import CSP_DARKNET_53_STAGES
from yolo.models.yolov4.settings import YOLOv4Config

# What Darknet trains with; its own two files have these, but for the steps, which follow its
# advice for one's own data: 2000 a class, at least 6000.
_TRAINING = (
    "batch=64\nsubdivisions=16\nmomentum={momentum}\ndecay=0.0005\nangle=0\nsaturation=1.5\n"
    "exposure=1.5\nhue=.1\nlearning_rate={rate}\nburn_in=1000\nmax_batches={batches}\n"
    "policy=steps\nsteps={first},{second}\nscales=.1,.1\n{mosaic}"
)
_LOSS = (
    "jitter=.3\nignore_thresh=.7\ntruth_thresh=1\niou_thresh=0.213\ncls_normalizer=1.0\n"
    "iou_normalizer=0.07\niou_loss=ciou\nnms_kind=greedynms\nbeta_nms=0.6\n"
)


def text_of(config: YOLOv4Config, num_classes: int, image_size: tuple[int, int]) -> str:
    """Return the cfg of a network that is built by hand; attention has no place in it."""
    full = config.variant == "yolov4"
    batches = max(6000, 2000 * num_classes)
    training = _TRAINING.format(
        momentum="0.949" if full else "0.9", rate="0.0013" if full else "0.00261",
        batches=batches, first=batches * 4 // 5, second=batches * 9 // 10,
        mosaic="mosaic=1\n" if full else "",
    )  # fmt: skip
    height, width = image_size
    sections = [f"[net]\n{training}width={width}\nheight={height}\nchannels=3\n"]
    writer = _yolov4 if full else _tiny
    writer(sections, lambda stride: _head(config, num_classes, stride))
    return "\n".join(sections)


def _conv(filters: int, size: int, stride: int = 1, activation: str = "leaky") -> str:
    return (
        f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\nstride={stride}\n"
        f"pad=1\nactivation={activation}\n"
    )


def _route(*layers: int) -> str:
    return f"[route]\nlayers={','.join(map(str, layers))}\n"


def _pool(size: int, stride: int) -> str:
    return f"[maxpool]\nsize={size}\nstride={stride}\n"


def _head(config: YOLOv4Config, num_classes: int, stride: int) -> list[str]:
    """Return the last convolution of a level, and what says where its boxes are."""
    mask = config.mask(stride)
    anchors = ", ".join(f"{width:g},{height:g}" for width, height in config.anchors)
    scale = config.scales_xy[config.strides.index(stride)]
    return [
        f"[convolutional]\nsize=1\nstride=1\npad=1\nfilters={len(mask) * (5 + num_classes)}\n"
        "activation=linear\n",
        f"[yolo]\nmask={','.join(map(str, mask))}\nanchors={anchors}\nclasses={num_classes}\n"
        f"num={len(config.anchors)}\nscale_x_y={scale:g}\n{_LOSS}",
    ]


def _tiny(sections: list[str], head) -> None:
    """Write darknet/cfg/yolov4-tiny.cfg."""
    sections += [_conv(32, 3, 2), _conv(64, 3, 2)]
    for channels in (64, 128, 256):
        half = [_conv(channels // 2, 3)] * 2
        split = "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
        sections += [_conv(channels, 3), split, *half, _route(-1, -2), _conv(channels, 1)]
        sections += [_route(-6, -1), _pool(2, 2)]
    sections += [_conv(512, 3), _conv(256, 1), _conv(512, 3), *head(32)]
    sections += [_route(-4), _conv(128, 1), "[upsample]\nstride=2\n", _route(-1, 23)]
    sections += [_conv(256, 3), *head(16)]


def _yolov4(sections: list[str], head) -> None:
    """Write darknet/cfg/yolov4.cfg."""
    sections.append(_conv(32, 3, activation="mish"))
    for stage, (channels, blocks) in enumerate(CSP_DARKNET_53_STAGES):
        half, inner = channels if stage == 0 else channels // 2, channels // 2
        sections += [_conv(channels, 3, 2, "mish"), _conv(half, 1, activation="mish"), _route(-2)]
        sections.append(_conv(half, 1, activation="mish"))
        block = [_conv(inner, 1, activation="mish"), _conv(half, 3, activation="mish")]
        sections += [*block, "[shortcut]\nfrom=-3\nactivation=linear\n"] * blocks
        sections += [_conv(half, 1, activation="mish"), _route(-1, -4 - 3 * blocks)]
        sections.append(_conv(channels, 1, activation="mish"))
    sections += [*_alternating(512, 3), _pool(5, 1), _route(-2), _pool(9, 1), _route(-4)]
    sections += [_pool(13, 1), _route(-1, -3, -5, -6), *_alternating(512, 3)]
    for channels, lateral in ((256, 85), (128, 54)):
        sections += [_conv(channels, 1), "[upsample]\nstride=2\n", _route(lateral)]
        sections += [_conv(channels, 1), _route(-1, -3), *_alternating(channels, 5)]
    sections += [_conv(256, 3), *head(8)]
    for channels, stride, before in ((256, 16, -16), (512, 32, -37)):
        sections += [_route(-4), _conv(channels, 3, 2), _route(-1, before)]
        sections += [*_alternating(channels, 5), _conv(2 * channels, 3), *head(stride)]


def _alternating(channels: int, count: int) -> list[str]:
    """Return convolutions of 1x1 and 3x3 in turns, the latter with twice the channels."""
    return [_conv(channels, 1) if n % 2 == 0 else _conv(2 * channels, 3) for n in range(count)]
