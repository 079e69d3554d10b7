"""YOLOv4 and YOLOv4-tiny: network, targets, loss and decoding."""

from yolo.yolov4 import decode, loss, network, targets

__all__ = ["decode", "loss", "network", "targets"]
