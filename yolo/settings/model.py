"""What learns: the network, and what RetinaNets have of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.models.names import ZOO
from yolo.models.option import option, taken
from yolo.models.retinanet.settings import RetinaNetConfig, RetinaNetLoss
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.pictures.sizes import RESIZE_MODES

# Values of `weights` and `anchors` that are no files: to be found out, the model's own, none
AUTO, KEEP, NONE = "auto", "keep", "none"

_option = partial(option, group="model")
_network = partial(taken, RetinaNetConfig, group="retinanet", only="retinanet")
_loss = partial(taken, RetinaNetLoss, group="retinanet", only="retinanet")


@dataclass(frozen=True)
class ModelSettings:
    """The network and its input."""

    model: str = _option(
        "yolov4-tiny",
        f"{', '.join(ZOO)}, or a Darknet .cfg file, whose layers before each [yolo] are made for "
        "the classes at hand",
        metavar="NAME",
    )
    weights: str = _option(
        "auto",
        "start from this file; auto: published weights for the model, fetched once, else random "
        "numbers; none: random numbers. Darknet .weights or .conv.N, torchvision's .pth, "
        ".safetensors or .npz for a RetinaNet, a tutorial's .h5, or a .keras of an earlier run; or "
        "a published one by name, such as yolov4-tiny-backbone; imagenet: what Keras has for a "
        "--backbone of keras.applications",
        metavar="FILE",
    )
    offline: bool = _option(
        False, "fetch nothing: --weights auto takes what was fetched or brought before"
    )
    image_size: tuple[int, int] = _option(
        (416, 416),
        "height and width of the network's picture, multiples of 32: 416 or 320x416",
        metavar="SIZE",
    )
    resize: str = _option(
        "letterbox",
        "keep a picture's shape and pad it with grey, or stretch it; shorter: give the "
        "shorter side the first number of --image-size and the longer one at most the second "
        "(800x1333)",
        choices=RESIZE_MODES,
    )
    anchors: str = _option(
        "auto",
        "file 'w,h, w,h, ...' in pixels of the network's picture; auto: fitted to the "
        "training pictures, if that is better; keep: the model's own",
        metavar="FILE",
    )
    masks: str | None = _option(
        None,
        "anchors of each stride, finest first: 0,1,2/3,4,5 or, for yolov4-tiny, custom or coco",
        metavar="MASKS",
        only="yolov4",
    )
    attention: str = taken(YOLOv4Config, "attention", group="model", only="yolov4")
    prior: float = taken(YOLOv4Config, "prior", group="model")


@dataclass(frozen=True)
class RetinaNetSettings:
    """What only a RetinaNet has."""

    profile: str | None = _network(
        "profile", default=None, default_text="that of the published weights, else paper"
    )
    backbone: str | None = _network("backbone", default=None, default_text="the model's own")
    channels: int | None = _network("channels", default=None, default_text="the model's own")
    head_norm: str | None = _network(
        "head_norm", default=None, default_text="the model's or profile's own"
    )
    frozen_norm: bool | None = _network(
        "frozen_norm", default=None, default_text="with --weights as the profile has it, else no"
    )
    frozen_stages: int = _network("frozen_stages")
    matcher: str = _loss("matcher")
    box_loss: str | None = _loss("box_loss", default=None, default_text="the profile's")
    force_match: bool | None = _loss(
        "force_match", default=None, default_text="as the profile has it"
    )
