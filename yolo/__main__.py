"""`python -m yolo`: all commands under one name."""

import sys

from yolo.cli import main

if __name__ == "__main__":
    sys.exit(main())
