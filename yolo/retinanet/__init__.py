"""RetinaNet: network, targets, loss and decoding."""

from yolo.retinanet import decode, loss, network, targets

__all__ = ["decode", "loss", "network", "targets"]
