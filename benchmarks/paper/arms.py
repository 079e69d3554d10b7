"""What is run: every arm, the tables it stands in, the paper's numbers, and what they claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

PRIOR, NO_PRIOR = 0.01, 0.5  # 0.5 is what a head without a prior starts from


@dataclass(frozen=True)
class Arm:
    """One way to train; arms of a model differ in nothing else.

    Args:
        name: in the results file.
        label: in tables.
        model: name in the zoo.
        loss: returns the class loss (RetinaNet) or confidence loss (YOLOv4).
        prior: probability that a fresh head gives every anchor.
        scaling: key of `yolo.models.yolov4.settings.LOSS_SCALINGS`; None takes what suits the loss.
        quick: whether it belongs to the quick pass.
    """

    name: str
    label: str
    model: str
    loss: Callable[[], object]
    prior: float = PRIOR
    scaling: str | None = None
    quick: bool = False


@dataclass(frozen=True)
class Table:
    """One table of the paper.

    Args:
        title: heading.
        rows: name of an arm to the paper's (AP, AP50, AP75) in percent, or a word where it has
            no numbers.
        claims: (better, worse) arms by AP, as the paper found or, in a table without its
            numbers, as its reasoning has it.
        note: what to know when reading it.
    """

    title: str
    rows: dict[str, tuple[float, float, float] | str]
    claims: tuple[tuple[str, str], ...]
    note: str = ""


def balanced(alpha):
    """Return alpha-balanced cross-entropy."""
    import keras_focal

    return keras_focal.BalancedCrossEntropy(alpha=alpha, from_logits=True)


def focal(alpha, gamma):
    """Return the focal loss."""
    import keras_focal

    return keras_focal.FocalLoss(alpha=alpha, gamma=gamma, from_logits=True)


def focal_star(gamma, beta):
    """Return FL*."""
    import keras_focal

    return keras_focal.FocalLossStar(alpha=0.25, gamma=gamma, beta=beta, from_logits=True)


def mined(hardest, nms_iou, ratio=None):
    """Return cross-entropy with online hard example mining."""
    import keras_focal

    return keras_focal.OnlineHardExampleMining(
        hardest=hardest, nms_iou=nms_iou, negatives_per_positive=ratio, from_logits=True
    )


def plain():
    """Return cross-entropy."""
    import keras

    return keras.losses.BinaryCrossentropy(from_logits=True)


def quality():
    """Return the quality focal loss."""
    import keras_focal

    return keras_focal.QualityFocalLoss(from_logits=True)


_RETINANET = partial(Arm, model="retinanet-csp-tiny")
_YOLO = partial(Arm, model="yolov4-tiny", quick=True)
_CE = {a: f"ce-a{a:g}" for a in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)}
_FL = {
    (g, a): f"fl-g{g:g}-a{a:g}"
    for g, a in ((0.1, 0.75), (0.2, 0.75), (0.5, 0.5), (1, 0.25), (2, 0.25), (5, 0.25), (2, 0.5))
}
FOCAL = _FL[2, 0.25]  # the paper's choice
_ARMS = (
    *(
        _RETINANET(name, f"CE, α = {a:g}", loss=partial(balanced, a), quick=a in (0.25, 0.5, 0.75))
        for a, name in _CE.items()
    ),
    *(
        _RETINANET(name, f"FL, γ = {g:g}, α = {a:g}", loss=partial(focal, a, g), quick=g == 2)
        for (g, a), name in _FL.items()
    ),
    _RETINANET("ohem-128-nms0.7", "OHEM 128, NMS .7", loss=partial(mined, 128, 0.7)),
    _RETINANET("ohem-128-nms0.5", "OHEM 128, NMS .5", loss=partial(mined, 128, 0.5), quick=True),
    _RETINANET("ohem-512-nms0.5", "OHEM 512, NMS .5", loss=partial(mined, 512, 0.5)),
    _RETINANET("ohem-1:3-128-nms0.5", "OHEM 1:3 128, NMS .5", loss=partial(mined, 128, 0.5, 3)),
    _RETINANET("fl-star-2-1", "FL*, γ = 2, β = 1", loss=partial(focal_star, 2, 1), quick=True),
    _RETINANET("fl-star-4-0", "FL*, γ = 4, β = 0", loss=partial(focal_star, 4, 0)),
    _RETINANET(
        "ce-a0.5-no-prior", "CE, α = 0.5, no prior", loss=partial(balanced, 0.5),
        prior=NO_PRIOR, quick=True,
    ),
    _RETINANET(
        "fl-g2-a0.25-no-prior", "FL, γ = 2, α = 0.25, no prior", loss=partial(focal, 0.25, 2),
        prior=NO_PRIOR, quick=True,
    ),
    _YOLO("yolo-ce", "cross-entropy, prior", loss=plain),
    _YOLO("yolo-ce-no-prior", "cross-entropy, no prior", loss=plain, prior=NO_PRIOR),
    _YOLO(
        "yolo-tutorial-focal", "the tutorial's focal loss, no prior",
        loss=partial(focal, 0.25, 2), prior=NO_PRIOR, scaling="tutorial-focal",
    ),
    _YOLO("yolo-fl", "focal loss / positives, prior", loss=partial(focal, 0.25, 2)),
    _YOLO(
        "yolo-fl-no-prior", "focal loss / positives, no prior", loss=partial(focal, 0.25, 2),
        prior=NO_PRIOR,
    ),
    _YOLO("yolo-qfl", "quality focal loss / positives, prior", loss=quality),
)  # fmt: skip
ARMS = {arm.name: arm for arm in _ARMS}

# Numbers: Lin et al. (2017), arXiv 1708.02002v2; AP / AP50 / AP75 on COCO's minival, ResNet-50
# and 600 pixels, for 1d ResNet-101.
TABLES = {
    "1a": Table(
        "Table 1a: α-balanced cross-entropy",
        {
            "ce-a0.1": (0.0, 0.0, 0.0), "ce-a0.25": (10.8, 16.0, 11.7),
            "ce-a0.5": (30.2, 46.7, 32.8), "ce-a0.75": (31.1, 49.4, 33.0),
            "ce-a0.9": (30.8, 49.7, 32.3), "ce-a0.99": (28.7, 47.4, 29.9),
            "ce-a0.999": (25.1, 41.7, 26.1),
        },
        (
            ("ce-a0.75", "ce-a0.5"), ("ce-a0.5", "ce-a0.25"), ("ce-a0.25", "ce-a0.1"),
            ("ce-a0.75", "ce-a0.99"), ("ce-a0.99", "ce-a0.999"),
        ),
    ),
    "1b": Table(
        "Table 1b: focal loss over γ, each with its best α",
        {
            "ce-a0.75": (31.1, 49.4, 33.0), "fl-g0.1-a0.75": (31.4, 49.9, 33.1),
            "fl-g0.2-a0.75": (31.9, 50.7, 33.4), "fl-g0.5-a0.5": (32.9, 51.7, 35.2),
            "fl-g1-a0.25": (33.7, 52.0, 36.2), FOCAL: (34.0, 52.5, 36.5),
            "fl-g5-a0.25": (32.2, 49.6, 34.8), "fl-g2-a0.5": "0.4 AP below α = 0.25",
        },
        (
            (FOCAL, "ce-a0.75"), ("fl-g0.5-a0.5", "ce-a0.75"), (FOCAL, "fl-g0.5-a0.5"),
            (FOCAL, "fl-g5-a0.25"), (FOCAL, "fl-g2-a0.5"),
        ),
        "The first row is γ = 0.",
    ),
    "1d": Table(
        "Table 1d: online hard example mining",
        {
            "ohem-128-nms0.7": (31.1, 47.2, 33.2), "ohem-128-nms0.5": (32.8, 50.3, 35.1),
            "ohem-512-nms0.5": (27.6, 42.0, 29.2), "ohem-1:3-128-nms0.5": (31.1, 47.2, 33.2),
            FOCAL: (36.0, 54.9, 38.7),
        },
        (
            (FOCAL, "ohem-128-nms0.5"), (FOCAL, "ohem-1:3-128-nms0.5"),
            ("ohem-128-nms0.5", "ohem-512-nms0.5"), ("ohem-128-nms0.5", "ohem-1:3-128-nms0.5"),
        ),
        "The paper's pictures have 5.5 times the anchors of ours, so that 128 are a smaller share "
        "of theirs.",
    ),
    "3": Table(
        "Table 3: FL and FL*",
        {
            "ce-a0.75": (31.1, 49.4, 33.0), FOCAL: (34.0, 52.5, 36.5),
            "fl-star-2-1": (33.8, 52.7, 36.3), "fl-star-4-0": (33.9, 51.8, 36.4),
        },
        (("fl-star-2-1", "ce-a0.75"), ("fl-star-4-0", "ce-a0.75")),
    ),
    "prior": Table(
        "With and without the prior (section 5.1)",
        {
            "ce-a0.5": (30.2, 46.7, 32.8), "ce-a0.5-no-prior": "diverges",
            FOCAL: (34.0, 52.5, 36.5), "fl-g2-a0.25-no-prior": "not given",
        },
        (("ce-a0.5", "ce-a0.5-no-prior"), (FOCAL, "fl-g2-a0.25-no-prior")),
    ),
    "yolo": Table(
        "YOLOv4-tiny's confidence loss",
        dict.fromkeys(
            (
                "yolo-ce", "yolo-ce-no-prior", "yolo-tutorial-focal", "yolo-fl",
                "yolo-fl-no-prior", "yolo-qfl",
            ),
            "not in the paper",
        ),
        (
            ("yolo-fl", "yolo-ce"), ("yolo-fl", "yolo-tutorial-focal"),
            ("yolo-fl", "yolo-fl-no-prior"), ("yolo-ce", "yolo-ce-no-prior"),
            ("yolo-qfl", "yolo-fl"),
        ),
        "Cross-entropy is divided by all anchors; the tutorial's focal loss has the weights of "
        "bubbliiiing's yolov4-tf2 and no prior.",
    ),
}  # fmt: skip


def arms_of(tables, *, quick: bool = False) -> list[Arm]:
    """Return the arms that tables need, each once, in the order of `ARMS`.

    Args:
        tables: keys of `TABLES`.
        quick: only those of the quick pass.
    """
    wanted = {name for table in tables for name in TABLES[table].rows}
    return [arm for arm in ARMS.values() if arm.name in wanted and (arm.quick or not quick)]
