"""The pictures that the lines of a list mean, which lie in the list's folder and below alone."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

from yolo.data.findings import nearest
from yolo.data.pairing import nfc
from yolo.data.source import plain_name
from yolo.errors import DatasetError
from yolo.system.reading import inside, printable, shortened


class ListNames:
    r"""Finds the pictures that a list names.

    A relative name starts at the list's folder. What cannot be found so is looked for with `\` as
    "/", `%20` as a blank, in another letter case or Unicode form, and the path of another machine
    by its last parts, as many as can be, below the list's folder.

    Args:
        folder: of the list, as the user named it.
        root: the folder that the pictures lie in or below.
    """

    def __init__(self, folder: Path, root: Path):
        self._folder, self._root = folder, root.absolute()
        self._real_folder, self._real_root = (Path(os.path.realpath(p)) for p in (folder, root))
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path:
        """Return the path that a line means.

        Raises:
            DatasetError: it leads out of the root, or there is no such picture.
        """
        wanted = [name, name.replace("\\", "/")]
        for one in dict.fromkeys([*wanted, *map(unquote, wanted)]):
            path = self._below(one)
            if path is not None and os.path.lexists(path):
                return self._checked(path)
        path = self._by_last_parts(unquote(wanted[-1])) or self._in_other_case(unquote(wanted[-1]))
        if path is not None:
            return self._checked(path)
        path = self._below(name)
        if path is None:
            raise DatasetError(
                f"{shortened(name)} leads out of {printable(self._root)}: correct the line, or "
                "name the folder of the pictures with --list-root"
            )
        near = nearest(path.name, sum(self._names(path.parent).values(), []), alike=0.8)
        raise DatasetError(f"{printable(path)}: cannot be opened: no such file{near}")

    def _below(self, name: str) -> Path | None:
        """Return the path of a name, None where it leads out of the root."""
        if "\0" in name:
            return None
        plain = os.path.normpath(name)  # "a/.." must not depend on what a is
        if Path(plain).is_absolute():
            fits = any(Path(plain).is_relative_to(root) for root in (self._root, self._real_root))
            return Path(plain) if fits else None
        whole = Path(os.path.normpath(self._real_folder / plain))
        return self._folder / plain if whole.is_relative_to(self._real_root) else None

    def _checked(self, path: Path) -> Path:
        if not inside(path, self._root, path.parent):
            raise DatasetError(
                f"{printable(path)}: a link that leads out of {printable(self._root)}: put the "
                "file itself there, or make the whole folder the link"
            )
        return path

    def _by_last_parts(self, name: str) -> Path | None:
        """Return the picture that the path of another machine means."""
        plain = plain_name(name)
        if plain is None or not (name.startswith("/") or name[1:2] == ":"):
            return None
        parts = plain.split("/")
        paths = (self._below("/".join(parts[first:])) for first in range(len(parts)))
        return next((path for path in paths if path and os.path.lexists(path)), None)

    def _in_other_case(self, name: str) -> Path | None:
        """Return the one picture of its folder whose name differs in letter case or form alone."""
        path = self._below(name)
        names = self._names(path.parent).get(nfc(path.name).casefold(), []) if path else []
        return path.with_name(names[0]) if path and len(names) == 1 else None

    def _names(self, folder: Path) -> dict[str, list[str]]:
        """Return what a folder holds, by the names as they compare."""
        if folder not in self._listed:
            found = self._listed[folder] = defaultdict(list)
            if folder.is_dir():
                for path in sorted(folder.iterdir()):
                    found[nfc(path.name).casefold()].append(path.name)
        return self._listed[folder]
