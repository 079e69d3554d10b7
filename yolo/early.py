"""Signals before a program has loaded: the end, in one line instead of a traceback.

It imports next to nothing, so that a script can ask for it before all else. Later `yolo.signals`
takes over, and the work decides where it ends.
"""

import os
import signal


def end_on_signals() -> None:
    """From here on SIGINT, SIGTERM and SIGHUP end the process, with exit codes 130, 143 and 129."""
    for number in ending_signals():
        signal.signal(number, _end)


def ending_signals():
    """Return the signals that end a program; SIGHUP not where there is none, or under `nohup`."""
    hangup = getattr(signal, "SIGHUP", None)
    kept = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if kept else [])]


def _end(number, frame):
    # An exception would come out of whatever is being imported; there is nothing to clean up.
    try:
        os.write(2, b"interrupted\n")
    finally:  # a terminal that hung up takes no line
        os._exit(128 + number)
