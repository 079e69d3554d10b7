"""Download a file: under a temporary name, resumed after a break, kept only if it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

from yolo.errors import WeightsError
from yolo.system.terminal import LogScreen, Progress

log = logging.getLogger("yolo")

_CHUNK = 2**18
_TIMEOUT = 30
_ATTEMPTS = 3
_BREAKS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


def download(url: str, path: str | Path, *, size: int | None = None, sha256: str | None = None):
    """Download a file, or the rest of it after a break.

    What has arrived lies in `path` + ".part" until it is complete and checked, and a later call
    goes on from there. The log tells the progress.

    Args:
        url: the address.
        path: the file to make; its folder is made if it is missing.
        size: bytes it must have, None if not known.
        sha256: its SHA-256 in hex, or the first digits of it; None if not known.

    Raises:
        WeightsError: it cannot be fetched, or is another file than expected. One sentence, with
            the address to fetch by hand.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.is_file() and part.stat().st_size > 0
        _fetch(url, part, size)
        wrong = _fault(part, size, sha256)
        if wrong and resumed:
            log.info(
                "%s: the first part of it did not fit the rest; downloading it anew", path.name
            )
            part.unlink()
            _fetch(url, part, size)
            wrong = _fault(part, size, sha256)
        if wrong:
            part.unlink()
            raise WeightsError(
                f"{path.name}: {wrong}; it was thrown away: try again, or fetch {url} by hand and "
                "give its path with --weights"
            )
        part.replace(path)
    except _BREAKS as error:
        kept = part.stat().st_size if part.is_file() else 0
        raise WeightsError(
            f"{path.name}: cannot be downloaded ({_reason(error)}"
            + (f"; {megabytes(kept)} are kept and resumed" if kept else "")
            + f"): fetch {url} by hand and give its path with --weights"
        ) from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be written ({error.strerror or error})") from error
    if sha256 is None:
        log.warning("%s: no checksum of this file is known; only its size was checked", path.name)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes the first answer, wherever it points."""

    def redirect_request(self, *about):
        """Follow nothing."""
        return None


def unreachable(url: str, *, seconds: float = 5.0) -> str:
    """Return why no server answers at an address, "" where one does, whatever it says.

    That takes so many seconds at most, looking up the name of the server included.
    """
    first_answer = urllib.request.build_opener(_NoRedirect).open
    said = [f"no answer within {seconds:g} seconds"]

    def ask() -> None:
        request = urllib.request.Request(
            url, headers={"User-Agent": "keras-focal"}, method="HEAD"
        )  # fmt: skip
        try:
            first_answer(request, timeout=seconds).close()
            said[0] = ""
        except urllib.error.HTTPError:  # a redirection is one, too
            said[0] = ""
        except (*_BREAKS, OSError) as error:
            said[0] = _reason(error)

    # A look-up of a name takes no time-out: who asks is left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return said[0]


def _fetch(url: str, part: Path, size: int | None) -> None:
    """Append to `part` until the file is complete; try again as long as bytes arrive."""
    for attempt in range(_ATTEMPTS):
        before = part.stat().st_size if part.is_file() else 0
        try:
            return _fetch_once(url, part, size)
        except _BREAKS as error:
            arrived = part.is_file() and part.stat().st_size > before
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if attempt + 1 == _ATTEMPTS or final or not arrived:
                raise
            log.info("%s: %s; going on", part.stem, _reason(error))


def _fetch_once(url: str, part: Path, size: int | None) -> None:
    have = part.stat().st_size if part.is_file() else 0
    if size is not None and have >= size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "keras-focal"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with contextlib.ExitStack() as stack:
        try:
            answer = stack.enter_context(urllib.request.urlopen(request, timeout=_TIMEOUT))
        except urllib.error.HTTPError as error:
            if error.code == 416 and have:  # nothing lies behind what we have
                return
            raise
        if not have or not _goes_on(answer, have):
            have = 0
            part.unlink(missing_ok=True)
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else size
        file = stack.enter_context(part.open("ab"))
        log.info(
            "downloading %s%s%s", part.stem, f", {megabytes(total)}" if total else "",
            f", from {megabytes(have)} on" if have else "",
        )  # fmt: skip
        screen, whole = LogScreen(log), total and round(total / 1e6, 1)
        progress = Progress(screen, whole, f"MB of {part.stem}")
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            have += len(chunk)
            progress.step(round(have / 1e6, 1))
        file.flush()
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)


def _goes_on(answer, have: int) -> bool:
    """Tell whether an answer starts where our part ends; a server may send all of it again."""
    start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return answer.status == 206 and start is not None and int(start[1]) == have


def _fault(part: Path, size: int | None, sha256: str | None) -> str | None:
    """Return what is wrong with a downloaded file, None if nothing is."""
    found = part.stat().st_size
    if size is not None and found != size:
        return f"{found} bytes arrived, the published file has {size}"
    if sha256 is None:
        return None
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(sha256.lower()):
        return f"what arrived is not the published file (SHA-256 {digest}, expected {sha256})"
    return None


def megabytes(count: int) -> str:
    """Return a number of bytes in words."""
    return f"{count / 1e6:.1f} MB"


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server says {error.code} {error.reason}"
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection broke {megabytes(error.expected or 0)} before the end"
    return str(getattr(error, "reason", error)) or type(error).__name__
