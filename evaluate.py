"""Measure a detector: `python evaluate.py --help`."""

import sys

from yolo import early

if __name__ == "__main__":
    early.end_on_signals()
    from yolo.cli import evaluate_main

    sys.exit(evaluate_main())
