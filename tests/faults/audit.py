"""What a reader does to the outside, heard through Python's audit hook."""

import contextlib
import os
import sys
from pathlib import Path

STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.fork",
          "os.forkpty", "subprocess.Popen", "socket.", "ctypes.dlopen", "urllib.Request",
          "os.remove", "os.rename", "shutil.", "os.mkdir", "os.chmod", "os.link",
          "os.symlink")  # fmt: skip
# Modules that may be loaded for the first time while a file is read
OURS = ("yolo", "keras", "tensorflow", "numpy", "h5py", "cv2", "PIL", "google", "ml_dtypes",
        "absl", "encodings", "xml")  # fmt: skip

_heard = None


def _hook(event, arguments):
    if _heard is not None:
        _heard.append((event, arguments))


@contextlib.contextmanager
def listening():
    """Return a list that fills with (event, arguments) while the context lasts."""
    global _heard
    if not getattr(sys, "_yolo_tests_listen", False):
        sys.addaudithook(_hook)  # there is no way to take it off again
        sys._yolo_tests_listen = True
    _heard = heard = []
    try:
        yield heard
    finally:
        _heard = None


def opened(heard):
    """Return the absolute paths that were opened, links not followed."""
    found = []
    for event, arguments in heard:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            found.append(Path(os.path.abspath(os.fsdecode(arguments[0]))))  # noqa: PTH100
    return found


def started(heard):
    """Return the events by which code runs, data leaves the machine, or files are changed."""
    return [event for event, _ in heard if event.startswith(STARTS)]


def foreign_imports(heard):
    """Return the modules loaded from outside the standard library and our own needs."""
    names = {str(arguments[0]).split(".")[0] for event, arguments in heard if event == "import"}
    return sorted(names - set(sys.stdlib_module_names) - set(OURS))
