"""What is damaged of archives of labelled pictures: .zip and .tar, packed in each way.

The makers are those of `targets`: of a folder, a function (rng, number) -> (reader, name).
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.faults.full.mutants import mutate, write
from tests.faults.full.pictures import variants


def _zip(files: dict[str, bytes], method: int) -> bytes:
    """Return a .zip of some files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _tar(files: dict[str, bytes], mode: str, form: int) -> bytes:
    """Return a .tar of some files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode, format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def archives(folder: Path) -> Callable:
    """Make mutants of archives, which are unpacked, opened and read."""
    from yolo.data.folder import open_folder

    files = {
        "mine/images/a.jpg": variants()["jpeg 420"],
        "mine/images/\u72d7 1.jpg": variants()["jpeg 420"],
        "mine/labels/a.txt": b"0 0.5 0.5 0.25 0.5\n" * 9,
        "mine/classes.txt": b"dog\n",
    }
    good = {
        "mine.zip": _zip(files, zipfile.ZIP_DEFLATED),
        "mine-stored.zip": _zip(files, zipfile.ZIP_STORED),
        "mine.tar": _tar(files, "w", tarfile.GNU_FORMAT),
        "mine-pax.tar": _tar(files, "w", tarfile.PAX_FORMAT),
        "mine.tgz": _tar(files, "w:gz", tarfile.GNU_FORMAT),
        "mine.tar.xz": _tar(files, "w:xz", tarfile.GNU_FORMAT),
        "mine.tar.bz2": _tar(files, "w:bz2", tarfile.GNU_FORMAT),
    }
    os.environ["KERAS_FOCAL_CACHE"] = str(folder / "cache")

    def one(rng: np.random.Generator, number: int):
        name, data = list(good.items())[number % len(good)]
        place = int(rng.integers(len(data)))
        if rng.random() < 0.3:  # the end is where a .zip begins
            data = data[:place] + mutate(data[place:], rng, head=60)
        else:
            data = mutate(data, rng, head=600)
        write(folder / name, data, number)

        def read():
            opened = open_folder(folder / name)
            for split in opened.names:
                opened.read(split)

        return read, "mine"

    return one
