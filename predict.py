"""Detect in pictures: `python predict.py --help`."""

import sys

from yolo.cli import predict_main

if __name__ == "__main__":
    sys.exit(predict_main())
