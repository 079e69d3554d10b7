"""RetinaNet: settings, network, targets, loss and decoding."""
