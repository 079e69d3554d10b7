"""What a weights file of another program says of the detector that it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from yolo.models.darknet_cfg.cfg import Cfg


@dataclass(frozen=True)
class Description:
    """A whole detector in a file of another program.

    Args:
        model: its name in the zoo, or its cfg.
        num_classes: how many classes its heads tell apart; which, no such file says.
        class_lists: the published lists that such files are trained on.
        image_size: (height, width) in pixels that such files are used with.
        options: of `yolo.build`: how that program prepares pictures, its anchors and the like.
    """

    model: str | Cfg
    num_classes: int
    class_lists: tuple[tuple[str, ...], ...]
    image_size: tuple[int, int] = (416, 416)
    options: dict[str, Any] = field(default_factory=dict)
