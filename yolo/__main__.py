"""`keras-focal`, or `python -m yolo`: all commands under one name."""

from yolo.system import process


def run() -> None:
    """Run the command of this process's words, and end with its exit code."""
    process.end_on_signals()
    from yolo.cli import main

    process.end(main())


if __name__ == "__main__":
    run()
