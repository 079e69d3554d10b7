"""Detect in pictures: `python predict.py --help`."""

import sys

from yolo import early

if __name__ == "__main__":
    early.end_on_signals()
    from yolo.cli import predict_main

    sys.exit(predict_main())
