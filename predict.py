"""Detect in pictures: `python predict.py --help`."""

from yolo.system import process

if __name__ == "__main__":
    process.end_on_signals()
    from yolo.cli import predict_main

    process.end(predict_main())
