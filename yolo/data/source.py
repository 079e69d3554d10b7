"""What `--data` names, as a format gets it: a folder listed once, or a file in one."""

from __future__ import annotations

import codecs
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from yolo.data.findings import nearest, short_list
from yolo.data.pairing import LABEL_FOLDERS, PICTURE_FOLDERS, grouped, key_of, nfc, stem_and_suffix
from yolo.data.split_names import role_of
from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import LITTER, inside, open_regular, printable, shortened

log = logging.getLogger("yolo")

MAX_NAMES, MAX_DEPTH = 5_000_000, 40
LOCAL_FILE = "/data/local-files/?d="  # begins what Label Studio calls a file of its disk
MAX_NAME = 4096  # characters of a path that a file names
# What systems leave in folders, which nobody means.
_LITTER = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})


class Source:
    """A folder, or one file in it, and what was said about it; a format opens it.

    Everything below the folder is listed once, when it is first asked for. Names are relative to
    the folder, with "/", as the disk has them; whoever looks one up does so in NFC. Folders may be
    links, but not to where one has been. Names that begin with `._`, which macOS leaves on other
    disks, are passed over and counted.

    Args:
        path: the folder or file.
        images: the folder of the pictures, where that was said.
        classes: class names, where they were said, for formats that number classes.

    Attributes:
        root: the folder.
        file: the one file that was named, or None.
        litter: the number of names that were passed over because they begin with `._`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        images: str | os.PathLike | None = None,
        classes: Sequence[str] | None = None,
    ):
        path = Path(path)
        self.file = None if path.is_dir() else path
        self.root = path.parent if self.file else path
        self.images = None if images is None else Path(images)
        self.classes = None if classes is None else tuple(classes)
        self.litter = 0
        self._links: set[str] = set()
        self._odd: list[str] = []

    @cached_property
    def _before(self) -> str:
        return os.path.join(self.root, "")[2 * (self.root == Path()) :]  # noqa: PTH118

    @property
    def named(self) -> str:
        """The relative name of `file`; "" where a folder was named."""
        return "" if self.file is None else self.file.relative_to(self.root).as_posix()

    def with_pictures(self) -> Source:
        """Return this, or for a file in a folder of labels alone the source of the folder above."""
        around = self.root.absolute()
        if (
            self.file is None
            or self.images is not None
            or around.name.lower() not in LABEL_FOLDERS | PICTURE_FOLDERS
            or len(self.pictures)
        ):
            return self
        whole = Source(self.file.absolute(), classes=self.classes)
        whole.root = around.parent
        return whole

    @cached_property
    def _listed(self) -> tuple[list[str], frozenset[str]]:
        folders = set[str]()
        names = sorted(self._walk(folders))
        if self._odd:
            log.warning(
                "%s: neither files nor folders: %s: remove them",
                printable(self.root), short_list(map(printable, self._odd), limit=3),
            )  # fmt: skip
        return names, frozenset(folders)

    @property
    def names(self) -> list[str]:
        """Every file below the folder, sorted."""
        return self._listed[0]

    @property
    def folders(self) -> frozenset[str]:
        """Every folder below the folder, at whatever depth."""
        return self._listed[1]

    @cached_property
    def by_suffix(self) -> dict[str, list[str]]:
        """The files by their suffix in small letters, ".jpg"; "" for those without."""
        return grouped(self.names, lambda name: stem_and_suffix(name)[1])

    @cached_property
    def pictures(self) -> Pictures:
        """The pictures: those of `images` where that was said, else those below the folder."""
        if self.images is not None:
            if not self.images.is_dir():
                raise DatasetError(f"{printable(self.images)}: no such folder (--images)")
            other = Source(self.images)
            return Pictures(other, other.with_suffix(*PICTURE_SUFFIXES))
        return Pictures(self, self.with_suffix(*PICTURE_SUFFIXES))

    def below(self, folder: str) -> Source:
        """Return a folder below this one as a source of its own."""
        start = f"{folder}/"
        return self._part(self.root / folder, lambda n: n.startswith(start) and n[len(start) :])

    def without(self, folders: Iterable[str]) -> Source:
        """Return this source without some folders at its top."""
        out = frozenset(folders)
        return self._part(self.root, lambda name: name.partition("/")[0] not in out and name)

    def _part(self, root: Path, renamed: Callable) -> Source:
        """Return a source of some files of this one, which need not be listed again."""
        other = Source(root, images=self.images, classes=self.classes)
        names, folders, links = (
            list(filter(None, map(renamed, group))) for group in (*self._listed, self._links)
        )
        other._listed, other._links = (names, frozenset(folders)), set(links)
        return other

    def seen(self) -> str:
        """Return what there is, for messages: "812 .jpg, 0 .xml, 3 .txt"."""
        counts = {suffix: len(names) for suffix, names in self.by_suffix.items()}
        common = sorted(counts, key=counts.__getitem__, reverse=True)[:6]
        shown = dict.fromkeys([*(suffix for suffix in common if suffix), ".xml"])
        text = ", ".join(f"{counts.get(suffix, 0)} {printable(suffix)}" for suffix in shown)
        text += f", {counts['']} without a suffix" if "" in counts else ""
        return text if counts else "nothing"

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Return the files with one of some suffixes (in small letters, with the dot), sorted."""
        return sorted(name for suffix in suffixes for name in self.by_suffix.get(suffix, ()))

    def path(self, name: str) -> Path:
        """Return the path of a file that `names` holds."""
        return self.root / name

    def text_path(self, name: str) -> str:
        """Return the path of a file as text, which takes less time where there are many."""
        return f"{self._before}{name}"

    def leads_out(self, name: str) -> str:
        """Return what is wrong with a link that leads out of the folder, "" for other files."""
        if name not in self._links or inside(self.path(name), self.root, self.path(name).parent):
            return ""
        return (
            f"{printable(self.path(name))}: a link that leads out of the data set: put the file "
            "itself there, or make the whole folder the link"
        )

    def own_path(self, name: str) -> Path:
        """Return the path of a file that is to be read.

        Raises:
            DatasetError: it is a link that leads out of the folder.
        """
        if fault := self.leads_out(name):
            raise DatasetError(fault)
        return self.path(name)

    def head(self, name: str, count: int = 4096) -> bytes:
        """Return the first bytes of a file, those of UTF-16 in UTF-8; b"" if it cannot be read."""
        if self.leads_out(name):
            return b""
        try:
            with open_regular(self.path(name), max_bytes=1 << 40) as file:
                data = file.read(count)
        except (DatasetError, OSError):
            return b""
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16", "replace").encode() if utf16 else data

    def _walk(self, folders: set[str]) -> Iterator[str]:
        stack, seen, count = [""], {os.path.realpath(self.root)}, 0
        while stack:
            folder = stack.pop()
            for entry in self._entries(folder):
                count += 1
                if count > MAX_NAMES:
                    raise DatasetError(
                        f"{printable(self.root)}: more than {MAX_NAMES} files below this folder: "
                        "name the folder of the data set itself"
                    )
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name in _LITTER or entry.name.startswith(LITTER):
                    self.litter += entry.name not in _LITTER
                elif not _is_folder(entry):
                    if entry.is_symlink():
                        self._links.add(name)
                    elif not entry.is_file():
                        self._odd.append(name)
                    yield name
                elif not entry.name.startswith(".") and self._goes_down(entry, name, seen):
                    stack.append(name)
                    folders.add(name)

    def _entries(self, folder: str) -> list[os.DirEntry]:
        try:
            with os.scandir(self.root / folder) as entries:
                return list(entries)
        except OSError as error:
            raise DatasetError(
                f"{printable(self.root / folder)}: cannot be listed: {error.strerror}"
            ) from None

    def _goes_down(self, entry: os.DirEntry, name: str, seen: set[str]) -> bool:
        """Tell whether a folder is to be listed: not too deep, nor a link to where one is."""
        if name.count("/") >= MAX_DEPTH:
            raise DatasetError(
                f"{printable(self.root / name)[:200]}: more than {MAX_DEPTH} folders within each "
                "other"
            )
        if not entry.is_symlink():
            return True
        real = os.path.realpath(entry.path)
        above = os.path.realpath(self.root).startswith(real.rstrip(os.sep) + os.sep)
        if above or real in seen:
            return False
        seen.add(real)
        return True


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


class Pictures:
    """The pictures of a source, found by what annotations and lists call them.

    A name can mean nothing but a picture that the source lists, so that none leads elsewhere.
    """

    def __init__(self, source: Source, names: Sequence[str]):
        self.source, self.names = source, names
        self._exact = {nfc(name): name for name in names}

    def __len__(self) -> int:
        return len(self.names)

    def find(self, name: str, folders: Iterable[str] = ("",)) -> str | None:
        r"""Return the picture that a name means, as `source.names` has it, None if none.

        Taken in this order: the name in one of the folders; the same in other letter case, or with
        `%20` for a blank; then, for the path of another machine, the one picture whose last parts
        are the name's, as many as can be. `\` is as good as `/`. A name with ".." means nothing.

        Args:
            name: from an annotation or a list, with suffix.
            folders: where to look, relative to the source, the likeliest first.
        """
        wanted = plain_name(name)
        if wanted is None:
            return None
        folders = list(folders)
        for one in dict.fromkeys((wanted, unquote(wanted))):
            for folder in folders:
                full = f"{folder}/{one}" if folder else one
                found = self._exact.get(full) or _only(self._folded.get(full.casefold()))
                if found is not None:
                    return found
        absolute = name.strip().replace("\\", "/").startswith("/") or name[1:2] == ":"
        return self._by_last_parts(unquote(wanted) if "%" in wanted else wanted, absolute)

    def id_of(self, name: str) -> str:
        """Return what names a picture in results: its stem, with folders where two have one."""
        stem = nfc(stem_and_suffix(name)[0])
        return stem if self._stems[stem] == 1 else key_of(name)

    @cached_property
    def _stems(self) -> Counter[str]:
        return Counter(nfc(stem_and_suffix(name)[0]) for name in self.names)

    def path(self, name: str) -> Path:
        """Return the path of a picture that `find` found."""
        return self.source.path(name)

    def hint(self, name: str) -> str:
        """Return "; did you mean 'b.jpg'?" where the name of a picture is near, else nothing."""
        last = (plain_name(name) or name).rpartition("/")[2]
        lasts = (one.rpartition("/")[2] for one in self.names[:10_000])
        return nearest(last, lasts, alike=0.8)

    def missing(self, name: str) -> str:
        """Return what there is to say of a name that means none of them."""
        return f"no picture {shortened(name)} below {printable(self.source.root)}{self.hint(name)}"

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        return grouped(self.names, lambda name: nfc(name).casefold())

    @cached_property
    def _by_last(self) -> dict[str, list[str]]:
        return grouped(self.names, lambda name: nfc(name).casefold().rpartition("/")[2])

    def _by_last_parts(self, wanted: str, absolute: bool) -> str | None:
        parts = wanted.casefold().split("/")
        near = [(nfc(name).casefold(), name) for name in self._by_last.get(parts[-1], [])]
        for first in range(len(parts)):
            tail = "/".join(parts[first:])
            fitting = [pair for pair in near if f"/{pair[0]}".endswith(f"/{tail}")]
            if fitting:
                found = _only([name for _, name in fitting])
                before = fitting[0][0][: -len(tail)].split("/")
                # cam2/1.jpg is not cam1/1.jpg, though there be no other 1.jpg
                other = first and not absolute and any(not _says_nothing(one) for one in before)
                return None if other else found
        return None


def _says_nothing(folder: str) -> bool:
    """Tell whether a folder's name says nothing about which picture it is."""
    return folder in LABEL_FOLDERS | PICTURE_FOLDERS | {""} or role_of(folder) is not None


def plain_name(name: str) -> str | None:
    r"""Return a name of a list with "/" and in NFC, None for one that means no file.

    Label Studio's address of a local file holds the file's name.

    Example:
        >>> plain_name(r".\a\b.jpg"), plain_name("D:/data/b.jpg"), plain_name("../b.jpg")
        ('a/b.jpg', 'data/b.jpg', None)
        >>> plain_name("/data/local-files/?d=a%5Cb.jpg")
        'a/b.jpg'
    """
    if len(name) > MAX_NAME:
        return None
    _, local, file = name.partition(LOCAL_FILE)
    text = nfc(unquote(file) if local else name.strip()).replace("\\", "/")
    if text[1:3] == ":/":  # a drive of Windows
        text = text[2:]
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in text:
        return None
    return "/".join(parts)


def _only(names: list[str] | None) -> str | None:
    return names[0] if names and len(names) == 1 else None
