"""Python in a process of its own, for work that may crash, hang or want too much memory."""

from __future__ import annotations

import sys


def command(module: str, *arguments: str) -> list[str]:
    """Return the command of a fresh Python that calls `serve(*arguments)` of one of our modules.

    It finds modules where this process does. `multiprocessing` would run the caller's script
    again.

    Args:
        module: its name, with dots.
        arguments: strings for `serve`.
    """
    after = 1 + len(arguments)
    code = (
        f"import sys; sys.path[:] = sys.argv[{after}:]; from {module} import serve; "
        f"serve(*sys.argv[1:{after}])"
    )
    return [sys.executable, "-c", code, *arguments, *sys.path]
