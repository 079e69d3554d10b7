"""Train a detector: `python train.py --help`."""

import sys

from yolo import early

if __name__ == "__main__":
    early.end_on_signals()
    from yolo.cli import train_main

    sys.exit(train_main())
