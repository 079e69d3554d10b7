"""Every setting of a training run: option of the command line, key in TOML, default."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from yolo.config import ATTENTIONS, LOSS_SCALINGS, AugmentConfig, LossSettings
from yolo.headers import MAX_MEGAPIXELS
from yolo.profiles import BOX_LOSSES, MATCHERS, PROFILES, RetinaNetLoss
from yolo.training.ranges import check


def _option(default, group: str, help: str, **extra):
    """Return a dataclass field that also tells the command line how to offer it."""
    return field(default=default, metadata={"group": group, "help": help, **extra})


# Settings that follow from the scaling of the loss where they are not given.
_BY_SCALING = (
    "positive_iou", "location_weight", "confidence_weight", "class_weight",
    "confidence_normalizer",
)  # fmt: skip
LEARNING_RATES = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}
RETINANETS = (
    "retinanet", "retinanet-r18", "retinanet-r34", "retinanet-r50", "retinanet-r101",
    "retinanet-r152", "retinanet-csp-53", "retinanet-csp-tiny",
)  # fmt: skip
MODELS = ("yolov4", "yolov4-tiny", *RETINANETS)
# Settings that only one family of detectors has.
YOLOV4_ONLY = (
    "anchors", "masks", "attention", "loss_scaling", "iou", "positive_iou", "confidence_weight",
    "confidence_normalizer", "ignore_iou", "label_smoothing",
)  # fmt: skip
RETINANET_ONLY = (
    "profile", "backbone", "frozen_norm", "frozen_stages", "matcher", "box_loss", "force_match",
)  # fmt: skip


def _by_scaling(name: str) -> str:
    """Return a default in words: the common value, then the scalings that differ."""
    usual = getattr(LossSettings(), name)
    others = [
        f"{scaling} {value[name]:.4g}" if isinstance(value[name], float) else
        f"{scaling} {value[name]}"
        for scaling, value in LOSS_SCALINGS.items()
        if name in value and scaling != "mining"
    ]  # fmt: skip
    return ", ".join([str(usual), *others])


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a training run; a field is an option of `train.py` and a key in TOML.

    None means "found out at the start" or "by another setting"; the help says which.
    """

    # what to learn from
    data: str | None = _option(
        None,
        "data",
        "VOC folder, e.g. VOCdevkit/VOC2007, or a folder in COCO's layout "
        "(annotations/instances_<split>.json); without it VOCdevkit/ in the current folder, else "
        "a data set that the program draws",
        metavar="DIR",
    )
    classes: str | None = _option(
        None,
        "data",
        "file with one class name a line; without it the names are found in the annotations",
        metavar="FILE",
    )
    train_split: str = _option(
        "train",
        "data",
        "name of the list in ImageSets/Main to train on",
        metavar="NAME",
    )
    val_split: str = _option("val", "data", "list to measure on while training", metavar="NAME")
    train_list: str | None = _option(
        None,
        "data",
        "tutorial format, instead of --data: a file of lines 'picture x1,y1,x2,y2,class ...'",
        metavar="FILE",
    )
    val_list: str | None = _option(
        None,
        "data",
        "the same for the pictures to measure on",
        metavar="FILE",
    )
    strict: bool = _option(
        False,
        "data",
        "let nothing pass that the check of the data repairs or warns of",
    )

    list_root: str | None = _option(
        None,
        "data",
        "folder that the pictures of these lists lie in or below",
        metavar="DIR",
        default_text="each list's own folder",
    )
    first_pixel: str = _option(
        "auto",
        "data",
        "number of the first pixel in VOC annotations; auto: 0 if any box starts there, else 1",
        choices=("auto", "0", "1"),
    )
    max_megapixels: float = _option(
        MAX_MEGAPIXELS, "data", "refuse larger pictures, in millions of pixels, before decoding"
    )

    # what learns
    model: str = _option(
        "yolov4-tiny",
        "model",
        "name in the zoo",
        choices=MODELS,
    )
    weights: str | None = _option(
        None,
        "model",
        "start from this file: Darknet .weights or .conv.N, torchvision's .pth, .safetensors or "
        ".npz for a RetinaNet, a tutorial's .h5, or a .keras of an earlier run; or a published one "
        "by name, such as yolov4-tiny-backbone; imagenet: what Keras has for a --backbone of "
        "keras.applications",
        metavar="FILE",
    )
    image_size: tuple[int, int] = _option(
        (416, 416),
        "model",
        "height and width of the network's picture, multiples of 32: 416 or 320x416",
        metavar="SIZE",
    )
    resize: str = _option(
        "letterbox",
        "model",
        "keep a picture's shape and pad it with grey, or stretch it; shorter: give the shorter "
        "side the first number of --image-size and the longer one at most the second (800x1333)",
        choices=("letterbox", "stretch", "shorter"),
    )
    anchors: str | None = _option(
        None,
        "model",
        "file 'w,h, w,h, ...' in pixels of the network's picture; auto: fitted to the training "
        "pictures, if that is better",
        metavar="FILE",
    )
    masks: str | None = _option(
        None,
        "model",
        "anchors of each stride, finest first: 0,1,2/3,4,5 or, for yolov4-tiny, custom or coco",
        metavar="MASKS",
    )
    attention: str = _option(
        "none",
        "model",
        "attention in yolov4-tiny (the tutorial's phi 0 to 4)",
        choices=ATTENTIONS,
    )
    prior: float = _option(0.01, "model", "objectness that a fresh head starts from")
    profile: str = _option(
        "paper",
        "retinanet",
        "whose choices to follow where implementations differ",
        choices=tuple(PROFILES),
    )
    backbone: str | None = _option(
        None,
        "retinanet",
        "a ResNet (resnet-18 to resnet-152), csp-darknet-53, csp-darknet-tiny or any network of "
        "keras.applications, e.g. mobilenet_v2",
        metavar="NAME",
        default_text="the model's own",
    )
    frozen_norm: bool | None = _option(
        None,
        "retinanet",
        "keep the backbone's batch norm as loaded",
        default_text="with --weights as the profile has it, else no",
    )
    frozen_stages: int = _option(
        0, "retinanet", "backbone layers at strides up to 2 to this power never train; 2 is usual"
    )
    matcher: str = _option(
        "iou", "retinanet", "anchors become positive by a fixed overlap or by ATSS",
        choices=MATCHERS,
    )  # fmt: skip
    box_loss: str | None = _option(
        None, "retinanet", "location loss", choices=BOX_LOSSES, default_text="the profile's"
    )
    force_match: bool | None = _option(
        None, "retinanet", "give every object its best anchors however little they overlap it",
        default_text="as the profile has it",
    )  # fmt: skip

    # augmentation: see AugmentConfig
    mosaic: float = _option(
        AugmentConfig.mosaic,
        "augmentation",
        "probability of joining four pictures",
    )
    mixup: float = _option(
        AugmentConfig.mixup,
        "augmentation",
        "probability of blending in a second picture",
    )
    special_aug_ratio: float = _option(
        AugmentConfig.special_aug_ratio,
        "augmentation",
        "share of the epochs with mosaic and mixup",
    )
    flip: float = _option(
        AugmentConfig.flip,
        "augmentation",
        "probability of mirroring left to right",
    )
    vertical_flip: float = _option(
        AugmentConfig.vertical_flip,
        "augmentation",
        "probability of mirroring top to bottom",
    )
    scale: tuple[float, float] = _option(
        AugmentConfig.scale,
        "augmentation",
        "smallest and largest zoom: 0.6,1.5",
        metavar="LOW,HIGH",
    )
    translate: float = _option(
        AugmentConfig.translate,
        "augmentation",
        "shift by at most this share of the picture",
    )
    aspect: float = _option(
        AugmentConfig.aspect,
        "augmentation",
        "change the aspect ratio by at most this share",
    )
    hue: float = _option(
        AugmentConfig.hue,
        "augmentation",
        "turn the hue by at most this share of a circle",
    )
    saturation: float = _option(
        AugmentConfig.saturation,
        "augmentation",
        "vary the saturation by a factor up to 1 + this",
    )
    value: float = _option(
        AugmentConfig.value,
        "augmentation",
        "vary the brightness by a factor up to 1 + this",
    )
    min_box_pixels: float = _option(
        AugmentConfig.min_box_pixels,
        "augmentation",
        "drop boxes of which less than this is visible, in pixels each way",
    )
    min_box_visible: float = _option(
        AugmentConfig.min_box_visible,
        "augmentation",
        "drop boxes of whose area a smaller share is visible",
    )
    multi_scale: bool = _option(
        False,
        "augmentation",
        "change the network's picture size every 10 batches, 0.7 to 1.4 times",
    )

    # loss: see LossSettings
    loss: str | None = _option(
        None,
        "loss",
        "confidence loss of YOLOv4, class loss of RetinaNet",
        choices=("cross-entropy", "focal"),
        default_text="cross-entropy for YOLOv4, focal for RetinaNet",
    )
    focal_alpha: float = _option(
        0.25,
        "loss",
        "weight of objects in the focal loss; background has 1 - alpha",
    )
    focal_gamma: float = _option(
        2.0,
        "loss",
        "how much the focal loss turns down easy anchors; 0 is cross-entropy",
    )
    loss_scaling: str = _option(
        "auto",
        "loss",
        "weights and normalisers of the loss's parts; auto follows --loss",
        choices=("auto", "cross-entropy", "focal", "tutorial", "tutorial-focal"),
    )
    iou: str = _option(
        "ciou",
        "loss",
        "location loss: 1 - this similarity",
        choices=("ciou", "siou", "diou", "giou", "iou"),
    )
    positive_iou: float | None = _option(
        None,
        "loss",
        "anchors whose shape IoU exceeds this are positive besides the best; 1: the best only",
        default_text=_by_scaling("positive_iou"),
    )
    location_weight: float | None = _option(
        None,
        "loss",
        "factor on the location loss",
        default_text=_by_scaling("location_weight"),
    )
    confidence_weight: float | None = _option(
        None,
        "loss",
        "factor on the confidence loss",
        default_text=_by_scaling("confidence_weight"),
    )
    class_weight: float | None = _option(
        None, "loss", "factor on the class loss", default_text=_by_scaling("class_weight")
    )
    confidence_normalizer: str | None = _option(
        None,
        "loss",
        "what the confidence loss is divided by: the positives, or all anchors that count",
        choices=("positives", "all"),
        default_text=_by_scaling("confidence_normalizer"),
    )
    ignore_iou: float = _option(
        0.5,
        "loss",
        "background anchors overlapping an object more than this are left out",
    )
    label_smoothing: float = _option(0.0, "loss", "smoothing of the class targets, 0 to 1")

    # schedule
    epochs: int = _option(100, "schedule", "epochs in all (the tutorial's UnFreeze_Epoch)")
    batch_size: int = _option(
        8,
        "schedule",
        "pictures a step (Unfreeze_batch_size); auto (0 in TOML): what fits into memory",
    )
    freeze_epochs: int = _option(
        0,
        "schedule",
        "first epochs, with the backbone frozen (Freeze_Train, Freeze_Epoch)",
    )
    freeze_batch_size: int | None = _option(
        None,
        "schedule",
        "pictures a step while frozen",
        default_text="--batch-size",
    )
    init_epoch: int = _option(
        0,
        "schedule",
        "count epochs from here, to go on from --weights by hand",
    )
    learning_rate: float | None = _option(
        None,
        "schedule",
        "highest learning rate, for --nominal-batch pictures a step (Init_lr)",
        default_text="0.01 for sgd, 0.001 for adam and adamw",
    )
    min_learning_rate_ratio: float = _option(
        0.01,
        "schedule",
        "last learning rate as a share of the highest (Min_lr / Init_lr)",
    )
    nominal_batch: int = _option(
        8,
        "schedule",
        "the learning rate grows with batch size / this, at most fourfold; 0: not at all",
    )
    lr_decay: str = _option("cos", "schedule", "shape of the descent", choices=("cos", "step"))
    warmup_steps: int = _option(
        100,
        "schedule",
        "steps of linear warm-up, at most a tenth of a phase's",
    )

    # optimizer
    optimizer: str = _option(
        "sgd",
        "optimizer",
        "sgd has Nesterov momentum; weight decay is decoupled",
        choices=("sgd", "adam", "adamw"),
    )
    momentum: float = _option(0.937, "optimizer", "momentum of sgd, beta 1 of adam")
    weight_decay: float = _option(
        5e-4,
        "optimizer",
        "decay of the convolution kernels, times the learning rate",
    )
    clip_norm: float = _option(
        10.0,
        "optimizer",
        "largest norm of the whole gradient; 0: no limit",
    )
    accumulate: int = _option(1, "optimizer", "batches whose gradients make one update")
    ema: float = _option(
        0.04,
        "optimizer",
        "best.keras holds weights averaged over about this share of the run; 0: the last ones",
    )

    # run
    epochs_between_evaluations: int = _option(
        5,
        "run",
        "epochs from one mAP measurement to the next; 0: only at the end (eval_flag, eval_period)",
    )
    patience: int = _option(
        0,
        "run",
        "stop after this many measurements without a better mAP; 0: never",
    )
    save_period: int = _option(
        0,
        "run",
        "also keep the model of every so manieth epoch; 0: only best and last",
    )
    save_dir: str = _option("logs", "run", "folder for runs", metavar="DIR")
    name: str | None = _option(
        None,
        "run",
        "name of the run's folder",
        default_text="date and time",
    )
    seed: int = _option(11, "run", "order, augmentation and fresh weights follow from it")
    precision: str = _option(
        "auto",
        "run",
        "auto: bfloat16 where the processor is fast at it",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    gpus: str | None = _option(
        None,
        "run",
        "GPUs to use: 0 or 0,1; none: the processor (train_gpu)",
        default_text="all",
    )
    loader_threads: int = _option(
        0,
        "run",
        "threads that read and augment (num_workers); 0: as many as help",
    )
    tensorboard: bool = _option(False, "run", "also write the figures for TensorBoard")
    eager: bool = _option(False, "run", "run step by step, for debugging")

    def __post_init__(self):
        for name in ("image_size", "scale"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.loss is None:
            usual = "focal" if self.model in RETINANETS else "cross-entropy"
            object.__setattr__(self, "loss", usual)
        check(self)
        object.__setattr__(self, "image_size", tuple(int(side) for side in self.image_size))
        for field_ in fields(self):  # TOML's 0 is a number too; Keras insists on 0.0
            value = getattr(self, field_.name)
            if field_.type.startswith("float") and value is not None:
                object.__setattr__(self, field_.name, float(value))


def augmentation(config: TrainConfig) -> AugmentConfig:
    """Return the part of a run's settings that varies pictures."""
    shared = {field_.name for field_ in fields(AugmentConfig)} & set(vars(config))
    return AugmentConfig(**{name: getattr(config, name) for name in shared})


def loss_settings(config: TrainConfig) -> LossSettings | RetinaNetLoss:
    """Return the weights of the loss's parts: the named set, then what the user changed."""
    if config.model in RETINANETS:
        names = ("matcher", "box_loss", "force_match", "location_weight", "class_weight")
        given = {name: getattr(config, name) for name in names}
        given = {name: value for name, value in given.items() if value is not None}
        return RetinaNetLoss(**{**PROFILES[config.profile].loss, **given})
    settings = {
        **LOSS_SCALINGS[_scaling(config)],
        "iou": config.iou,
        "ignore_iou": config.ignore_iou,
        "label_smoothing": config.label_smoothing,
    }
    for name in _BY_SCALING:
        if getattr(config, name) is not None:
            settings[name] = getattr(config, name)
    return LossSettings(**settings)


def _scaling(config: TrainConfig) -> str:
    """Return the name of the loss's scaling; focal loss without focusing is cross-entropy."""
    if config.loss_scaling != "auto":
        return config.loss_scaling
    return "focal" if config.loss == "focal" and config.focal_gamma > 0 else "cross-entropy"


def resolved(config: TrainConfig) -> TrainConfig:
    """Return the settings with all that they leave open decided, but for the precision."""
    loss = loss_settings(config)
    if config.model in RETINANETS:
        decided = ("box_loss", "force_match", "location_weight", "class_weight")
    else:
        config = replace(config, loss_scaling=_scaling(config))
        decided = _BY_SCALING
    return replace(
        config,
        learning_rate=config.learning_rate or LEARNING_RATES[config.optimizer],
        freeze_batch_size=config.freeze_batch_size or config.batch_size,
        **{name: getattr(loss, name) for name in decided},
    )
