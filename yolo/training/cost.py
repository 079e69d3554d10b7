"""What a step of training costs: arithmetic and memory, counted before the first one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yolo.models.darknet_cfg.cfg import Cfg, from_text
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.as_cfg import text_of
from yolo.models.yolov4.settings import YOLOv4Config

# Maps that a convolution with norm leaves for the way back: its own, the normalised one, and what
# the activation keeps.
_MAPS = {"mish": 5, "swish": 4}
_USUAL_MAPS = 3
_COPIES = 5  # of each weight: itself, its gradient, momentum, its average, and one more to save
_BESIDE = 0.7e9  # bytes of TensorFlow, the pictures at hand and what is computed for a moment
_SPARE = 1.5  # what allocators and the way back add to the maps, as measured
# Multiply-adds a second that a laptop's processor reaches in convolutions, about
_LAPTOP = 1e11
SLOW = 60.0  # seconds a step on such a processor, from which on a run is warned


@dataclass(frozen=True)
class Cost:
    """What a training costs.

    Args:
        flops: for one picture through the network, two for each multiply-add.
        step_flops: for a step, there and back.
        step_bytes: of memory while one is taken, about.
    """

    flops: float
    step_flops: float
    step_bytes: float

    def line(self) -> str:
        """Return the costs in words."""
        return (
            f"{_giga(self.flops)} GFLOPs a picture; a step takes {_giga(self.step_flops)} GFLOPs "
            f"and about {self.step_bytes / 1e9:.1f} GB of memory"
        )

    def warning(self, *, on_processor: bool, free_bytes: float | None) -> str | None:
        """Return what speaks against it on this machine, None if nothing does."""
        if not on_processor:
            return None
        wants = []
        if free_bytes is not None and self.step_bytes > free_bytes:
            wants.append(f"only {free_bytes / 1e9:.1f} GB of memory are free")
        seconds = self.step_flops / 2 / _LAPTOP
        if seconds > SLOW:
            wants.append(f"a laptop's processor takes about {seconds:.0f} seconds a step")
        if not wants:
            return None
        return f"this may be too much: {', and '.join(wants)}; see --image-size, --batch-size"


def _giga(number: float) -> str:
    """Return a number in billions, to three figures or to whole ones."""
    return f"{number / 1e9:,.0f}" if number >= 1e11 else f"{number / 1e9:.3g}"


def cost_of(
    architecture: YOLOv4Config | RetinaNetConfig, num_classes: int, image_size: tuple[int, int],
    batch_size: int, *, half: bool = False,
) -> Cost | None:  # fmt: skip
    """Return what a step costs, None for a network that no cfg describes.

    `half` says that maps are of 16 bits.
    """
    if not isinstance(architecture, YOLOv4Config):
        return None
    cfg = architecture.darknet or from_text(
        text_of(architecture, num_classes, image_size), architecture.variant
    )
    flops = 2.0 * cfg.multiply_adds(image_size)
    maps = batch_size * image_size[0] * image_size[1] * _numbers_a_pixel(cfg)
    weights = 4 * _COPIES * architecture.least_parameters(num_classes)
    return Cost(
        flops, 3 * batch_size * flops, _BESIDE + _SPARE * maps * (2 if half else 4) + weights
    )


def _numbers_a_pixel(cfg: Cfg) -> float:
    """Return how many numbers are kept for the way back, for each pixel of a picture."""
    total = 0.0
    for layer in cfg.layers:
        kept = 1
        if layer.kind == "convolutional" and layer.settings["norm"]:
            kept = _MAPS.get(layer.settings["activation"], _USUAL_MAPS)
        elif layer.kind == "yolo" or (layer.kind == "route" and len(layer.sources) == 1):
            kept = 0
        total += kept * layer.channels / float(layer.stride) ** 2
    return total


def free_memory() -> float | None:
    """Return the bytes of memory that are free, None where the system does not say."""
    place = Path("/proc/meminfo")
    if place.exists():
        for line in place.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    return None
