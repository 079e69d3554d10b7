"""How the process of a script ends: on a signal before anything has loaded, and after its work.

It imports next to nothing, so that a script can ask for it before all else.
"""

import os
import signal
import sys
from typing import NoReturn


def end_on_signals() -> None:
    """From here on SIGINT, SIGTERM and SIGHUP end the process, with exit codes 130, 143 and 129.

    In one line instead of a traceback. Later `yolo.system.signals` takes over, and the work decides
    where it ends.
    """
    for number in ending_signals():
        signal.signal(number, _end)


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a program; SIGHUP not where there is none, or under `nohup`."""
    hangup = getattr(signal, "SIGHUP", None)
    kept = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if kept else [])]


def end(code: int) -> NoReturn:
    """End the process with an exit code, whatever threads there are.

    Once TensorFlow has loaded, Python is not taken down first: threads of a data pipeline that
    an error has ended may still run, and where one meets a Python that is half gone, it aborts
    the process in place of our exit code.
    """
    if "tensorflow" not in sys.modules:
        sys.exit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        os.write(2, f"standard output: {error.strerror}\n".encode())
        code = code or 1
    finally:
        os._exit(code)


def _end(number: int, frame: object) -> NoReturn:
    # An exception would come out of whatever is being imported; there is nothing to clean up.
    try:
        os.write(2, b"interrupted\n")
    finally:  # a terminal that hung up takes no line
        os._exit(128 + number)


def end_with_parent() -> None:
    """Have this process killed when the one that started it has ended; on Linux alone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def command(module: str, *arguments: str) -> list[str]:
    """Return the command of a fresh Python that calls `serve(*arguments)` of one of our modules.

    It finds modules where this process does. `multiprocessing` would run the caller's script
    again.
    """
    after = 1 + len(arguments)
    code = (
        f"import sys; sys.path[:] = sys.argv[{after}:]; from {module} import serve; "
        f"serve(*sys.argv[1:{after}])"
    )
    return [sys.executable, "-c", code, *arguments, *sys.path]
