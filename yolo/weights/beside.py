"""What lies beside a Darknet weights file: its cfg and the names of its classes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from yolo.classes import read_classes
from yolo.errors import ConfigError
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.models.darknet_cfg.cfg import Cfg
from yolo.system.reading import open_regular, printable, read_lines_of

log = logging.getLogger("yolo")

# What Darknet adds to the cfg's name when it saves weights
_SAVED = re.compile(r"_(?:final|last|best|\d+)$")
_NETWORK = re.compile(rb"(\xef\xbb\xbf)?(\s|[#;][^\n]*\n)*\[\s*net(work)?\s*\]")


def find_cfg(weights: Path) -> Cfg | None:
    """Read the cfg of a weights file: of the same name, or the only one in its folder; or None.

    `yolo-obj_final.weights` also belongs to `yolo-obj.cfg`. A setup.cfg, or another program's, is
    none.

    Raises:
        ConfigError: it cannot be built.
    """
    path = cfg_of(weights)
    return None if path is None else darknet_cfg.read(path)


def cfg_of(weights: Path) -> Path | None:
    """Return the cfg file that belongs to a weights file, None where there is none."""
    return _of_its_name(weights, darknet_cfg.SUFFIX, _is_of_a_network)


def _is_of_a_network(cfg: Path) -> bool:
    """Tell by its first section whether a cfg file is Darknet's."""
    try:
        with open_regular(cfg, error=ConfigError) as file:
            return _NETWORK.match(file.read(1 << 16)) is not None
    except (ConfigError, OSError):
        return False


def find_names(weights: Path, cfg: Cfg | None, count: int) -> tuple[tuple[str, ...], str] | None:
    """Read the class names that lie beside a weights file, or its cfg, and are `count` in number.

    Returns the names and the name of their file, None where there is no list of so many names.
    """
    places = [weights] if cfg is None else [weights, Path(cfg.place)]
    found = [_of_its_name(place, ".names") for place in places]
    found += [place.with_name("obj.names") for place in places]
    data = [_of_its_name(place, ".data") for place in places]
    found += [_named_by(path) for path in data if path is not None]
    for path in dict.fromkeys(path for path in found if path is not None and path.is_file()):
        try:
            names = read_classes(path)
        except ConfigError as error:
            log.warning("%s; it is passed over", error)
            continue
        if len(names) == count:
            return names, printable(path.name)
        log.warning(
            "%s: %d names, but the network has %d classes; it is passed over",
            printable(path), len(names), count,
        )  # fmt: skip
    return None


def _of_its_name(
    file: Path, suffix: str, is_one: Callable[[Path], bool] = Path.is_file
) -> Path | None:
    """Return the file beside another one that has its name, or that is the only one of its kind."""
    stems = dict.fromkeys((file.stem, _SAVED.sub("", file.stem)))
    for stem in stems:
        if (path := file.with_name(stem + suffix)).is_file():
            return path
    alone = list(filter(is_one, file.parent.glob(f"*{suffix}")))
    return alone[0] if len(alone) == 1 else None


def _named_by(data: Path) -> Path | None:
    """Return the list of names that a .data file names, if it lies beside it or near by.

    Darknet reads the path from where it is started, which is usually the folder above.
    """
    try:
        lines = read_lines_of(data, max_bytes=1 << 16, error=ConfigError)
    except ConfigError as error:
        log.warning("%s; it is passed over", error)
        return None
    words = dict(line.replace(" ", "").partition("=")[::2] for line in lines if "=" in line)
    named = Path(words.get("names", "").strip())
    if not named.name:
        return None
    tries = [data.with_name(named.name)]
    if not named.is_absolute() and ".." not in named.parts:
        tries = [data.parent / named, data.parent.parent / named, *tries]
    return next((path for path in tries if path.is_file()), None)
