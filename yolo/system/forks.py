"""A fork takes no threads along: what waits for one of TensorFlow's in the child waits for ever.

So a process that was forked after a detector was made, loaded or opened says so at once when it
uses or makes one. A fork that leaves detectors alone, or that happened before any, is none of ours.
"""

import os

from yolo.errors import YoloError

_used = False
_left_behind = False


def used() -> None:
    """Note that from here on this process has threads that a fork would leave behind.

    Raises:
        YoloError: as `refuse`.
    """
    global _used
    refuse()
    _used = True


def refuse() -> None:
    """Refuse to go on in a child that was forked after `used`.

    Raises:
        YoloError: this is one; the message says how to start it.
    """
    if _left_behind:
        raise YoloError(
            "this process was forked after a detector was loaded, and the threads it computes with "
            "stayed in the parent: it would wait for ever. Load the detector in each child, and in "
            "no parent (gunicorn without --preload, Celery's worker_process_init), or start "
            "children by multiprocessing.get_context('spawn')"
        )


def _in_child() -> None:
    global _left_behind
    _left_behind = _left_behind or _used


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
