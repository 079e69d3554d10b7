"""`python -m yolo`: all commands under one name."""

import sys

from yolo import early

if __name__ == "__main__":
    early.end_on_signals()
    from yolo.cli import main

    sys.exit(main())
