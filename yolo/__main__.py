"""`python -m yolo`: all commands under one name."""

from yolo.system import process

if __name__ == "__main__":
    process.end_on_signals()
    from yolo.cli import main

    process.end(main())
