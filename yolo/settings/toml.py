"""Settings files: TOML in, checked; TOML out."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig


def read_toml(path: str | Path) -> dict:
    """Read settings from a TOML file, as plain values under the names of `TrainConfig`.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or has a key that is no setting or is
            given twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the settings ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a TOML file ({error})") from error
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        keys = re.findall(r"^\s*([\w-]+)\s*=", text, re.MULTILINE)
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigError(f"{path}: {key} is given {keys.count(key)} times") from error
        raise ConfigError(f"{path}: not a TOML file ({error})") from error
    for key, value in values.items():
        check_key(key, f"{path}: ")
        _check_type(key, value, path)
    return values


def check_key(key: str, where: str = "") -> None:
    """Refuse a name that is no setting, and propose the nearest that is one."""
    known = [field_.name for field_ in fields(TrainConfig)]
    if key not in known:
        near = get_close_matches(key, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; see train.py --help all"
        raise ConfigError(f"{where}there is no setting {key!r}{hint}")


def _check_type(key: str, value: Any, path: str | Path) -> None:
    kinds: dict[str, type | tuple[type, ...]] = {
        "str": str, "int": int, "float": (int, float), "bool": bool, "tuple": list,
    }  # fmt: skip
    kind = next(f.type for f in fields(TrainConfig) if f.name == key).split(" |")[0].split("[")[0]
    fits = isinstance(value, kinds[kind]) and (kind == "bool" or not isinstance(value, bool))
    if kind == "tuple":
        fits = fits and len(value) == 2 and all(type(part) in (int, float) for part in value)
    if not fits:
        raise ConfigError(f"{path}: {key} is {_IN_WORDS[kind]}, not {value!r}")


_IN_WORDS = {
    "str": 'text in quotes, as "voc"', "int": "a whole number", "float": "a number",
    "bool": "true or false", "tuple": "a list of two numbers, as [416, 416]",
}  # fmt: skip


def write_toml(config: TrainConfig) -> str:
    """Return the settings as TOML text that `read_toml` reads back; None is left out."""
    lines = []
    for field_ in fields(config):
        value = getattr(config, field_.name)
        if value is None:
            lines.append(f"# {field_.name}: {field_.metadata.get('default_text', 'none')}")
        else:
            lines.append(f"{field_.name} = {_toml_value(value)}")
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = "".join(
            f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c
            for c in value.replace("\\", "\\\\").replace('"', '\\"')
        )
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(part) for part in value) + "]"
    return repr(value)
