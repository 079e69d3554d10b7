"""What tools call the parts of a data set, and which part each name means."""

from __future__ import annotations

import re
from collections.abc import Iterable

ROLES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_MEANT = {name: role for role, names in ROLES.items() for name in names}


def role_of(name: str) -> str | None:
    """Return "train", "val" or "test" for a name that means it, None for any other.

    Example:
        >>> [role_of(name) for name in ("Valid", "train2017", "testing", "trainval", "default")]
        ['val', 'train', 'test', None, None]
    """
    return _MEANT.get(re.sub(r"[-_ ]?(19|20)\d\d$", "", name.strip().casefold()))


def find_split(wanted: str, names: Iterable[str]) -> str | None:
    """Return which of the names is meant: the very one, else the first that means the same.

    Example:
        >>> find_split("val", ["train", "valid"]), find_split("fold2", ["train"])
        ('valid', None)
    """
    names = list(names)
    if wanted in names:
        return wanted
    role = role_of(wanted)
    return next((name for name in names if role and role_of(name) == role), None)
