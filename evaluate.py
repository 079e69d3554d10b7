"""Measure a detector: `python evaluate.py --help`."""

from yolo.system import process

if __name__ == "__main__":
    process.end_on_signals()
    from yolo.cli import evaluate_main

    process.end(evaluate_main())
