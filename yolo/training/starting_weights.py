"""`--weights auto`: published weights to start from, where they are at hand or can be fetched."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Callable

from yolo.errors import WeightsError
from yolo.settings.detector import model_settings
from yolo.settings.model import AUTO, NONE
from yolo.settings.train import TrainConfig
from yolo.system.cache import cache_folder
from yolo.weights import catalog, download, starts

log = logging.getLogger("yolo")


def settle_weights(config: TrainConfig, write: Callable) -> TrainConfig:
    """Replace `--weights auto` by the name of published weights, or by "none" with a warning.

    A file in the cache is taken before one that would have to be fetched. The settings of a
    RetinaNet get the profile of its weights.

    Raises:
        WeightsError: weights were named that are not at hand, and nothing may be fetched.
    """
    if config.weights in catalog.CATALOG and config.offline:
        if lacking := catalog.missing(config.weights):
            path, url = next(iter(lacking.items()))
            raise WeightsError(f"{path}: not there, and --offline forbids to fetch it; bring {url}")
    if config.weights != AUTO:
        return config
    settings = model_settings(config)
    found = starts.published(settings, config.profile)
    if config.head_norm is not None:  # whole RetinaNets have that of their profile
        found = {name: own for name, own in found.items() if own is None}
    name = next((name for name in found if not catalog.missing(name)), next(iter(found), None))
    if name is None:
        return _fresh(config, f"no published weights are known for {config.model}", "")
    entry = catalog.CATALOG[name]
    size = f", {download.megabytes(entry.size)}" if entry.size else ""
    lacking = catalog.missing(name)
    path = catalog.place(name)
    bring = " and ".join(f"{url}{size if url == entry.url else ''}" for url in lacking.values())
    bring = f"bring {bring} to {cache_folder()}"
    if entry.file_name.endswith(".pth") and importlib.util.find_spec("torch") is None:
        return _fresh(config, f"reading {path} needs PyTorch", f"pip install torch; {bring}")
    if lacking:
        why = _why_not_fetched(config, entry.url)
        if why:
            return _fresh(config, f"{path} is not there and {why}", bring)
        write(f"starting from {name} ({entry.about}){size}, fetched once from {entry.url}")
        try:
            catalog.fetch(name)
        except WeightsError as error:
            return _fresh(config, str(error).partition(": fetch ")[0], bring)
    else:
        write(f"starting from {name} ({entry.about}){size}: {path}")
    return dataclasses.replace(config, weights=name, profile=found[name] or config.profile)


def _why_not_fetched(config: TrainConfig, url: str) -> str:
    if config.offline or catalog.offline():
        return "nothing may be fetched (--offline or KERAS_FOCAL_OFFLINE)"
    reason = download.unreachable(url)
    return reason and f"cannot be fetched ({reason})"


def _fresh(config: TrainConfig, why: str, mend: str) -> TrainConfig:
    """Start from random numbers, and say so."""
    log.warning(
        "STARTING FROM RANDOM NUMBERS, which learns much more slowly: %s; %s",
        why, f"{mend}, or give --weights FILE" if mend else "give --weights FILE",
    )  # fmt: skip
    return dataclasses.replace(config, weights=NONE)
