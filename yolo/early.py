"""Ctrl-C and SIGTERM before a program has loaded: the end, in one line instead of a traceback.

It imports next to nothing, so that a script can ask for it before all else. Later `yolo.signals`
takes over, and the work decides where it ends.
"""

import os
import signal


def end_on_signals() -> None:
    """From here on SIGINT and SIGTERM end the process, with exit codes 130 and 143."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number, frame):
    # An exception would come out of whatever is being imported; there is nothing to clean up.
    os.write(2, b"interrupted\n")
    os._exit(128 + number)
