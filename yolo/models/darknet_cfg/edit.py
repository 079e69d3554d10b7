"""A cfg's text with other classes, anchors, masks or size; all else stays as it was written."""

from __future__ import annotations

import re

from yolo.models.darknet_cfg.cfg import Cfg
from yolo.models.darknet_cfg.sections import Section

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$")
Shapes = tuple[tuple[float, float], ...]
Masks = tuple[tuple[int, ...], ...]


def edited(
    cfg: Cfg, *, classes: int, anchors: Shapes, masks: Masks, image_size: tuple[int, int],
    letterbox: bool,
) -> str:  # fmt: skip
    """Return a cfg's text such that it describes a detector; the same text if it does already.

    Anchors are (width, height), and masks for each stride, finest first, the indices of its own.
    """
    changes: list[tuple[Section, str, str]] = []
    for word, now, then in zip(("height", "width"), image_size, cfg.image_size, strict=True):
        if now != then:
            changes.append((cfg.net, word, str(now)))
    if letterbox != (cfg.resize == "letterbox"):
        changes.append((cfg.net, "letter_box", str(int(letterbox))))
    others = anchors != cfg.anchors or masks != cfg.masks
    for number, mask in zip(cfg.finest_first, masks, strict=True):
        layer = cfg.layers[number]
        head, own = cfg.layers[layer.sources[0]], layer.settings
        outputs = len(mask) * (5 + classes)
        if outputs != head.channels:
            changes.append((head.section, "filters", str(outputs)))
        if classes != own["classes"]:
            changes.append((layer.section, "classes", str(classes)))
        if others:
            sides = ", ".join(f"{width:g},{height:g}" for width, height in anchors)
            changes.append((layer.section, "mask", ",".join(map(str, mask))))
            changes.append((layer.section, "anchors", sides))
            changes.append((layer.section, "num", str(len(anchors))))
    if classes != cfg.classes:  # they count the objects of the classes that it had
        gone = [cfg.layers[n].section for n in cfg.heads]
        changes += [(s, "counters_per_class", "") for s in gone if "counters_per_class" in s.words]
    return _rewritten(cfg.text, changes)


def _rewritten(text: str, changes: list[tuple[Section, str, str]]) -> str:
    """Return a text with other values of some words; one without a value is taken out."""
    lines = _LINES.findall(text)
    end = "\r\n" if "\r\n" in text else "\n"
    added: dict[int, list[str]] = {}
    for section, word, value in changes:
        line = f"{word}={value}{end}" if value else ""
        if word in section.words:
            lines[section.words[word][1] - 1] = line
        else:
            added.setdefault(section.line - 1, []).append(line)
    return "".join(
        part for number, line in enumerate(lines) for part in (line, *added.get(number, ()))
    )
