"""Train a detector: `python train.py --help`."""

from yolo.system import process

if __name__ == "__main__":
    process.end_on_signals()
    from yolo.cli import train_main

    process.end(train_main())
