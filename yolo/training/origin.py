"""What a resumed run must have in common with the run that it goes on with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Any

from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig, resolved

# Settings that leave the training itself alone, or whose meaning is compared instead of the
# name of a file: those may change from one start to the next.
FREE = (
    "data", "classes", "train_split", "train_list", "val_list", "weights", "anchors", "masks",
    "epochs_between_evaluations", "patience", "save_period", "save_dir", "name", "gpus",
    "devices", "loader_threads", "eager", "strict", "list_root", "max_megapixels", "tensorboard",
    "cache", "offline",
)  # fmt: skip


def origin(config: TrainConfig, data: Any, model: Any) -> dict:
    """Return all that the training follows from, as plain values."""
    names = "\n".join(str(sample.image_id) for sample in data.train)
    digest = hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    network = dataclasses.asdict(model.architecture)
    found = {
        "classes": list(data.classes),
        "training pictures": f"{len(data.train)} (list {digest})",
        **{f"model's {key}": value for key, value in network.items()},
        **settings_of(config),
    }
    return json.loads(json.dumps(found))


def settings_of(config: TrainConfig) -> dict:
    """Return the settings that may not change, as plain values."""
    values = dataclasses.asdict(resolved(config))
    return json.loads(json.dumps({k: v for k, v in values.items() if k not in FREE}))


def refuse_differences(now: dict, then: dict, place: str | os.PathLike) -> None:
    """Refuse to go on where something differs.

    Only keys that both what this start has `now` and what the run had `then` hold are compared;
    `place` is the run folder or its file, for the message.

    Raises:
        ConfigError: with every key that differs.
    """
    differing = [
        f"{key} is {_shown(now[key])}, was {_shown(then[key])}"
        for key in now
        if key in then and now[key] != then[key]
    ]
    if differing:
        raise ConfigError(
            f"{place}: a run goes on with what it was started with, but {'; '.join(differing)}; "
            "put that back or start a new run"
        )


def _shown(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], str):
        return ", ".join(value)
    return str(value)
