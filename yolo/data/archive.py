"""Archives of labelled pictures: unpacked once, within limits, into the cache and nowhere else."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import logging
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from yolo.errors import DatasetError
from yolo.system.cache import cache_folder
from yolo.system.reading import (
    MAX_WHOLE_BYTES,
    ZIP_DAMAGE,
    open_regular,
    printable,
    reason,
    regular_file,
    shortened,
    unpacked_from,
)
from yolo.system.terminal import LogScreen, Progress
from yolo.system.writing import write_folder

log = logging.getLogger("yolo")

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_FILES = 2_000_000
MAX_BYTES = 1 << 38  # unpacked
MAX_DEPTH = 40
# Pictures hardly shrink and labels to a tenth: an archive that holds this many times its own size,
# and more than a few megabytes, holds no data set.
MAX_RATIO, SMALL = 100, 64 << 20
_AT_ONCE = 1 << 20
_TAR_HEADER = 16 << 20  # tarfile reads extended headers whole
_DAMAGE = (*ZIP_DAMAGE, tarfile.TarError, lzma.LZMAError, zlib.error)


def is_archive(path: str | os.PathLike) -> bool:
    """Tell by its suffix whether a file is an archive that `unpacked` takes."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def unpacked(path: str | os.PathLike) -> Path:
    """Return the folder with what an archive holds, unpacked now if it was not or has changed.

    Messages name what lies in it by the archive and the member from here on.

    Raises:
        DatasetError: it cannot be read, is damaged or encrypted, holds more than is sensible, or a
            member is no plain file or folder below the archive's own: a link, a device, an
            absolute name or one with "..". Nothing is left of it then.
        YoloError: it cannot be written.
    """
    path = Path(path)
    status = regular_file(path, max_bytes=MAX_WHOLE_BYTES)
    stamp = f"{status.st_size} {status.st_mtime_ns}"
    digest = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:12]
    name = path.name[: -len(next(s for s in SUFFIXES if path.name.lower().endswith(s)))]
    folder = cache_folder().absolute() / "data" / f"{name[:60]}-{digest}"
    noted = folder / "archive.txt"

    def there() -> bool:
        return noted.is_file() and noted.read_text(encoding="utf-8") == stamp

    def fill(temporary: Path) -> None:
        _unpack(path, status.st_size, temporary / "files")
        if there():
            raise _There
        (temporary / "archive.txt").write_text(stamp, encoding="utf-8")

    if not there():
        log.info("%s: unpacking into %s", printable(path), printable(folder))
        with contextlib.suppress(_There):
            write_folder(folder, fill)
    unpacked_from(path, folder / "files")
    return folder / "files"


class _There(Exception):
    """Another process has unpacked the same meanwhile, and may be reading it."""


class _Member(NamedTuple):
    """A member of an archive: its name, its size, what is wrong with its kind, and its bytes."""

    name: str
    size: int
    is_folder: bool
    fault: str
    content: IO[bytes] | None


def _unpack(path: Path, size: int, folder: Path) -> None:
    """Write what an archive holds into a folder."""
    limit = min(MAX_BYTES, max(SMALL, MAX_RATIO * size))
    folder.mkdir()
    free = shutil.disk_usage(folder).free
    progress, done = Progress(LogScreen(log), None, f"MB of {printable(path.name)}"), 0
    members = _of_zip if path.name.lower().endswith(".zip") else _of_tar
    with open_regular(path, max_bytes=MAX_WHOLE_BYTES) as file:
        try:
            for count, member in enumerate(members(file, limit), 1):
                done += member.size
                if count > MAX_FILES or done > limit:
                    most = f"{MAX_FILES} files" if count > MAX_FILES else f"{limit} bytes"
                    raise _Refused(
                        f"holds more than {most}, which no data set of {size} bytes does: unpack "
                        "it yourself if you trust it"
                    )
                if done > free:
                    raise _Refused(f"there is no room for it on the disk: {free} bytes are free")
                _write(member, folder)
                progress.step(round(done / 1e6, 1))
        except _Refused as error:
            raise DatasetError(f"{printable(path)}: {error}") from None
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise  # ours could not be written
            raise DatasetError(
                f"{printable(path)}: damaged or no archive ({reason(error)}): make or fetch it "
                "again"
            ) from None


class _Refused(Exception):
    """What an archive holds is not taken; the message goes on behind its name."""


def _write(member: _Member, folder: Path) -> None:
    """Write a member below a folder, if that is where it belongs."""
    name = member.name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    wrong = member.fault
    if name.startswith("/") or name[1:2] == ":":
        wrong = "an absolute name"
    elif ".." in parts:
        wrong = "a name that leads out (..)"
    elif len(parts) > MAX_DEPTH:
        wrong = f"more than {MAX_DEPTH} folders within each other"
    if wrong:
        raise _Refused(f"its member {shortened(member.name)} is refused: {wrong}")
    target = folder.joinpath(*parts)
    if member.is_folder:
        target.mkdir(parents=True, exist_ok=True)
        return
    if not parts or member.content is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            left = member.size
            while left and (block := member.content.read(min(_AT_ONCE, left))):
                file.write(block)
                left -= len(block)
            if left or member.content.read(1):
                raise _Refused(f"its member {shortened(member.name)} has another size than it says")
    except FileExistsError:
        raise _Refused(f"its member {shortened(member.name)} is there twice") from None


def _of_zip(file: io.BufferedReader, limit: int) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for item in archive.infolist():
            kind, fault, content = stat.S_IFMT(item.external_attr >> 16), "", None
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                fault = "a link" if kind == stat.S_IFLNK else "neither a file nor a folder"
            elif not item.filename:
                raise _Refused("has a member without a name: make or fetch it again")
            elif item.flag_bits & 1:
                raise _Refused("is encrypted: unpack it yourself")
            elif not item.is_dir():
                content = archive.open(item)
            yield _Member(_name_of(item), item.file_size, item.is_dir(), fault, content)
            if content is not None:
                content.close()


def _name_of(item: zipfile.ZipInfo) -> str:
    """Return the name of a member: in UTF-8, too, where macOS does not say that it is."""
    try:
        return item.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return item.filename


def _of_tar(file: io.BufferedReader, limit: int) -> Iterator[_Member]:
    start = file.peek(8)
    opener = next((o for magic, o in _COMPRESSED.items() if start.startswith(magic)), None)
    plain = cast(IO[bytes], _Bounded(opener(file) if opener else file, 2 * limit + _TAR_HEADER))
    with tarfile.open(
        fileobj=plain, mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for item in archive:
            fault = ""
            if item.issym() or item.islnk():
                fault = "a link"
            elif item.issparse() or not (item.isreg() or item.isdir()):
                fault = "neither a file nor a folder"
            content = archive.extractfile(item) if item.isreg() and not fault else None
            yield _Member(item.name, item.size, item.isdir(), fault, content)
            archive.members.clear()  # type: ignore[attr-defined]  # one of two million is enough


_COMPRESSED: dict[bytes, Callable] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


class _Bounded:
    """What a compressed file holds, as far as a limit, never much of it at once."""

    def __init__(self, file, limit: int):
        self._file, self._limit, self.tell = file, limit, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _TAR_HEADER:
            raise _Refused("has a header of more than 16 MB")
        return self._file.read(size)

    def seek(self, place: int) -> int:
        if place > self._limit:
            raise _Refused(f"holds more than {self._limit} bytes: unpack it yourself")
        return self._file.seek(place)
