"""Train a detector: `python train.py --help`."""

import sys

from yolo.cli import train_main

if __name__ == "__main__":
    sys.exit(train_main())
