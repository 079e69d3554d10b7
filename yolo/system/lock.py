"""One process a run folder: a lock that the system releases when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import sys
from pathlib import Path

from yolo.errors import ConfigError

log = logging.getLogger("yolo")

NAME = "run.lock"
_FAR = 1 << 20  # the byte that Windows locks, behind the text, which stays readable


@contextlib.contextmanager
def lock(folder: Path):
    """Hold the lock of a run folder.

    The file says who holds it; what counts is the lock of the operating system on it, so that
    neither a dead holder nor another process with its number stands in the way.

    Raises:
        ConfigError: another process holds it, or the folder cannot be written.
    """
    path = folder / NAME
    file = _open(path)
    try:
        _leave_name(file, path)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)  # a name in it is that of a holder who was killed
        removed = _removed(path)  # while we hold it: afterwards it may be another's
        os.close(file)
        if not removed:  # as on Windows, where no open file is, nor this one if another has it
            _removed(path)


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _open(path: Path) -> int:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
        try:
            _acquire(file)
            # The holder before may have removed the file between our two steps.
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except OSError as error:
            holder = _holder(file)
            os.close(file)
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise ConfigError(f"{path}: cannot be locked ({error.strerror})") from error
            raise ConfigError(
                f"{path.parent}: another training is at work in this folder ({holder}); wait for "
                "its end or choose another --name"
            ) from error
        os.close(file)


def _acquire(file: int) -> None:
    """Take the lock or raise OSError at once."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _leave_name(file: int, path: Path) -> None:
    if os.fstat(file).st_size:
        log.warning("%s: left by a run that was killed (%s); taken over", path, _holder(file))
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    os.lseek(file, 0, os.SEEK_SET)
    try:
        os.ftruncate(file, 0)
        os.write(file, text.encode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error


def _holder(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(file, 4096))
        return f"process {found['pid']} on {found['host']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "an unknown process"
