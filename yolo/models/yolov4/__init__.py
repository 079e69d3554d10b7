"""YOLOv4 and YOLOv4-tiny: settings, network, targets, loss and decoding."""
