"""What learns: the network, and what RetinaNets have of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.models.retinanet.settings import BOX_LOSSES, HEAD_NORMS, MATCHERS, PROFILES
from yolo.models.yolov4.settings import ATTENTIONS
from yolo.settings.option import option

RETINANETS = (
    "retinanet", "retinanet-r18", "retinanet-r34", "retinanet-r50", "retinanet-r101",
    "retinanet-r152", "retinanet-csp-53", "retinanet-csp-tiny",
)  # fmt: skip
MODELS = ("yolov4", "yolov4-tiny", *RETINANETS)

model_option = partial(option, "model")
retinanet_option = partial(option, "retinanet", only="retinanet")


@dataclass(frozen=True)
class ModelSettings:
    """The network and its input."""

    model: str = model_option("yolov4-tiny", "name in the zoo", choices=MODELS)
    weights: str | None = model_option(
        None,
        "start from this file: Darknet .weights or .conv.N, torchvision's .pth, .safetensors "
        "or .npz for a RetinaNet, a tutorial's .h5, or a .keras of an earlier run; or a "
        "published one by name, such as yolov4-tiny-backbone; imagenet: what Keras has for a "
        "--backbone of keras.applications",
        metavar="FILE",
    )
    image_size: tuple[int, int] = model_option(
        (416, 416),
        "height and width of the network's picture, multiples of 32: 416 or 320x416",
        metavar="SIZE",
    )
    resize: str = model_option(
        "letterbox",
        "keep a picture's shape and pad it with grey, or stretch it; shorter: give the "
        "shorter side the first number of --image-size and the longer one at most the second "
        "(800x1333)",
        choices=("letterbox", "stretch", "shorter"),
    )
    anchors: str | None = model_option(
        None,
        "file 'w,h, w,h, ...' in pixels of the network's picture; auto: fitted to the "
        "training pictures, if that is better",
        metavar="FILE",
    )
    masks: str | None = model_option(
        None,
        "anchors of each stride, finest first: 0,1,2/3,4,5 or, for yolov4-tiny, custom or coco",
        metavar="MASKS",
        only="yolov4",
    )
    attention: str = model_option(
        "none",
        "attention in yolov4-tiny (the tutorial's phi 0 to 4)",
        choices=ATTENTIONS,
        only="yolov4",
    )
    prior: float = model_option(0.01, "objectness that a fresh head starts from")


@dataclass(frozen=True)
class RetinaNetSettings:
    """What only a RetinaNet has."""

    profile: str = retinanet_option(
        "paper", "whose choices to follow where implementations differ", choices=tuple(PROFILES)
    )
    backbone: str | None = retinanet_option(
        None,
        "a ResNet (resnet-18 to resnet-152), csp-darknet-53, csp-darknet-tiny or any network "
        "of keras.applications, e.g. mobilenet_v2",
        metavar="NAME",
        default_text="the model's own",
    )
    channels: int = retinanet_option(
        256,
        "of the feature pyramid and the subnets, a multiple of 32; 64 trains several times as "
        "fast on a small machine",
        within=(32, 1024),
    )
    head_norm: str | None = retinanet_option(
        None,
        "group: group norm in the subnets, which learn sooner with it",
        choices=HEAD_NORMS,
        default_text="the profile's",
    )
    frozen_norm: bool | None = retinanet_option(
        None,
        "keep the backbone's batch norm as loaded",
        default_text="with --weights as the profile has it, else no",
    )
    frozen_stages: int = retinanet_option(
        0, "backbone layers at strides up to 2 to this power never train; 2 is usual", within=(0, 5)
    )
    matcher: str = retinanet_option(
        "iou", "anchors become positive by a fixed overlap or by ATSS", choices=MATCHERS
    )
    box_loss: str | None = retinanet_option(
        None, "location loss", choices=BOX_LOSSES, default_text="the profile's"
    )
    force_match: bool | None = retinanet_option(
        None,
        "give every object its best anchors however little they overlap it",
        default_text="as the profile has it",
    )
