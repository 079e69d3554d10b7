"""What a cfg's [net] says of training: a run's settings where the user does not say."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from yolo.errors import ConfigError
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.models.darknet_cfg.cfg import Cfg
from yolo.models.yolov4.from_cfg import is_cfg, left_out
from yolo.pictures.sizes import SIZE_MULTIPLE
from yolo.settings.train import TrainConfig

# Darknet joins four pictures, or blends two, in every other one if its word is switched on.
_HALF = ("mosaic", "mixup", "flip")
_WIDEST = {"saturation": "saturation", "exposure": "value"}  # factors from 1 / it to it
_SAME = {"momentum": "momentum", "decay": "weight_decay", "hue": "hue", "burn_in": "warmup_steps"}
# Words that are left out, each with the reason
LEFT_OUT = {
    "learning_rate": "its loss is a sum over anchors and not a mean: --learning-rate",
    "max_batches": "a run is counted in epochs: --epochs",
    **dict.fromkeys(
        ("policy", "steps", "scales", "step", "scale", "power", "gamma", "sgdr_cycle", "sgdr_mult"),
        "the rate falls along half a cosine: --lr-decay",
    ),
    "subdivisions": "each batch is a step: --accumulate",
    "ema_alpha": "averages reach over a share of the run: --ema",
    **dict.fromkeys(("adam", "B1", "B2", "eps"), "--optimizer adam"),
    **dict.fromkeys(
        ("angle", "cutmix", "blur", "gaussian_noise", "aspect", "adversarial_lr", "attention",
         "mosaic_bound", "contrastive", "contrastive_jit_flip", "unsupervised"),
        "pictures are not varied by it",
    ),
    **dict.fromkeys(("resize_step", "dynamic_minibatch"), "--multi-scale"),
    **dict.fromkeys(
        ("optimized_memory", "workspace_size_limit_MB", "max_chart_loss", "loss_scale",
         "try_fix_nan", "num_sigmas_reject_badlabels", "equidistant_point", "time_steps", "track",
         "augment_speed", "sequential_subdivisions", "badlabels_rejection_percentage"),
        "nothing here works as it does",
    ),
}  # fmt: skip


def of_cfg(given: dict[str, Any], *, named: bool = True) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that a run has from its model's cfg, and lines that say so.

    Those given win; a model without a cfg has none. The lines show them as options, and name every
    word of the cfg that is not taken over. A cfg that was not `named`, and only lies beside its
    weights, says how pictures are fitted, which the weights know, and nothing of how to train.

    Raises:
        ConfigError: the cfg cannot be read, a word of it lies outside its range, or the picture
            size does not fit the network.
    """
    model = given.get("model", TrainConfig.model)
    if not is_cfg(model):
        return {}, []
    cfg = darknet_cfg.read(model)
    every = _settings(cfg)
    _check_size(cfg, {**every, **given})
    heard = every if named else ("image_size", "resize")
    found = {name: every[name] for name in heard if name not in given}
    shown = " ".join(f"--{name.replace('_', '-')} {_text(v)}" for name, v in found.items())
    lines = [f"{cfg.place} says: {shown}; options override it"] if found else []
    return found, [*lines, *(_left_out(cfg) if named else []), *left_out(cfg, training=True)]


def _settings(cfg: Cfg) -> dict[str, Any]:
    """Return all that [net] says; a word that it lacks says nothing."""
    net = cfg.net
    found: dict[str, Any] = {"image_size": cfg.image_size, "resize": cfg.resize}
    limits = {
        field.name: field.metadata["within"]
        for field in fields(TrainConfig)
        if "within" in field.metadata
    }
    batch, parts = (
        net.integer(word, 1, least=1, most=limits["batch_size"][1])
        for word in ("batch", "subdivisions")
    )
    if batch > 1:  # one picture is what detecting takes
        found["batch_size"] = max(batch // parts, 1)
    for word, name in _SAME.items():
        if word in net.words:
            least, most = limits[name]
            read = net.integer if name == "warmup_steps" else net.number
            found[name] = read(word, 0, least=least, most=most)
    for word, name in _WIDEST.items():
        if word in net.words:
            most = 1 + limits[name][1]
            widest = net.number(word, 1, least=1 / most, most=most)
            found[name] = round(max(widest, 1 / widest) - 1, 6)
    for word in _HALF:
        if word in net.words:
            found[word] = 0.5 * net.flag(word)
    return found


def _check_size(cfg: Cfg, settings: dict[str, Any]) -> None:
    """Refuse a picture size that the network cannot take."""
    if settings["resize"] != "shorter":
        cfg.check_size(settings["image_size"])
    coarsest = max(cfg.strides)
    if SIZE_MULTIPLE % coarsest and (
        settings.get("multi_scale") or settings["resize"] == "shorter"
    ):
        raise ConfigError(
            f"{cfg.place}: has a stride of {coarsest}, and --multi-scale and --resize shorter make "
            f"sizes in multiples of {SIZE_MULTIPLE}; leave them out"
        )


def _left_out(cfg: Cfg) -> list[str]:
    """Return a line for the words of [net] that are not taken over, and one for unknown ones."""
    words, odd = cfg.net.words, []
    reasons: dict[str, list[str]] = {}
    idle = {"angle": "0", "cutmix": "0", "blur": "0", "adam": "0", "subdivisions": "1"}
    for word, (value, line) in words.items():
        if word in LEFT_OUT and value != idle.get(word):
            reasons.setdefault(LEFT_OUT[word], []).append(f"{word}={value}")
        elif word not in cfg.net.asked and word not in LEFT_OUT:
            odd.append(f"{word} (line {line})")
    if words.get("batch", ("", 0))[0].partition("#")[0] == "1":
        reasons["one picture is for detecting: --batch-size"] = ["batch=1"]
    told = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
    lines = [f"{cfg.place}: of [net] not taken over: {told}"] if told else []
    if odd:
        lines.append(f"{cfg.place}: of [net] not known here: {', '.join(odd[:5])}")
    return lines


def _text(value: Any) -> str:
    """Return a value as it is typed behind its option."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
