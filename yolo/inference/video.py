"""Videos and cameras: read frames, and write what was drawn on them at the same rate."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from yolo.errors import ConfigError, DatasetError, YoloError
from yolo.pictures.files import LOG_SILENT, cv2, set_opencv_log_level
from yolo.system.reading import printable, regular_file
from yolo.system.writing import replacing

log = logging.getLogger("yolo")

USUAL_RATE = 25.0  # frames a second, where the source does not say
_TOO_MANY_FRAMES = 1 << 31  # broken headers name absurd counts
# Codecs that OpenCV's own wheels write everywhere, by suffix.
_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
_FRAMES_BETWEEN_LOOKS = 256  # at how full the disk is
_ROOM, _ROOM_FOR_A_FRAME = 64 << 20, 32  # bytes to leave free: a video's index comes last


class Video:
    """The frames of a video file or a camera; iterate over it once, and close it.

    Args:
        source: a file, or the number of a camera.

    Attributes:
        rate: frames a second.
        size: (height, width) of a frame.
        count: how many frames the file says it has; None for a camera or where it does not say.

    Raises:
        DatasetError: the file is missing or no video that OpenCV reads, or there is no such
            camera.
    """

    def __init__(self, source: Path | int):
        self.source = source
        self.camera = isinstance(source, int)
        if isinstance(source, int):
            self.name, opened = f"camera {source}", source
        else:
            regular_file(source, max_bytes=1 << 50)
            self.name, opened = printable(source), source
        with _quiet(), _name_for_opencv(opened) as name:
            self._capture = cv2.VideoCapture(name)
        if not self._capture.isOpened():
            raise DatasetError(
                f"{self.name}: no such camera, or another program uses it"
                if self.camera
                else f"{self.name}: no video that OpenCV can read (cut short, or an unknown "
                "codec?): convert it, for example with ffmpeg, to .mp4"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        known = not self.camera and math.isfinite(count) and 0 < count < _TOO_MANY_FRAMES
        self.count = int(count) if known else None
        self.size = tuple(
            int(self._capture.get(side))
            for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        )

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the frames, (H, W, 3) uint8 RGB; warn where the file ends before it should."""
        read = 0
        while True:
            with _quiet():
                good, frame = self._capture.read()
            if not good:
                break
            read += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if read == 0:
            raise DatasetError(f"{self.name}: not one frame can be read: convert it to .mp4")
        # Counts are estimates in many formats; a few frames missing are no damage.
        if self.count and read < 0.9 * self.count:
            log.warning("%s: ends after %d of %d frames (cut short?)", self.name, read, self.count)

    def count_frames(self) -> int:
        """Return how many frames there are from here to the end, by reading them all."""
        count = 0
        with _quiet():
            while self._capture.grab():
                count += 1
        return count

    def close(self) -> None:
        """Give the file or the camera back."""
        self._capture.release()


class VideoWriter:
    """Writes frames to a video file that appears when it is closed, whole.

    Use it in a `with` block: after an error or an interrupt the frames so far make the video.
    Nothing is written where no frame came. OpenCV writes no sound.

    Args:
        path: the file; its suffix decides the codec: MPEG-4 for .mp4 and others, Motion JPEG for
            .avi.
        rate: frames a second.
        comment: what stands at the end of an .mp4, .m4v or .mov, in a box that players skip.

    Raises:
        ConfigError: a suffix for which no codec is known.
    """

    def __init__(self, path: Path, rate: float, *, comment: bytes = b""):
        # MPEG-4 counts time in at most 65535 parts of a second, OpenCV's rate times 1000 or less.
        rate = float(rate) if rate <= 60 else round(float(rate), 2 if rate < 600 else 0)
        self.path, self.rate = Path(path), rate
        self.frames, self._comment = 0, comment
        self._codec = _CODECS.get(self.path.suffix.lower())
        if self._codec is None:
            raise ConfigError(
                f"{printable(path)}: a video cannot be written as '{self.path.suffix}'. "
                f"Expected one of {', '.join(_CODECS)}."
            )
        self._writer = self._size = None
        self._file = contextlib.ExitStack()

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, frame: np.ndarray) -> None:
        """Add a frame.

        Args:
            frame: (H, W, 3) uint8 RGB; one of another size than the first is resized. Odd sides
                lose a row or column: the codecs store pixels in pairs.

        Raises:
            YoloError: this OpenCV has no encoder, the folder cannot be written, or the disk is
                nearly full; the frames so far still make a video.
        """
        if self.frames and self.frames % _FRAMES_BETWEEN_LOOKS == 0:
            self._refuse_nearly_full_disk()
        height, width = (max(2, side - side % 2) for side in frame.shape[:2])
        if self._writer is None:
            self._open((height, width))
        if (height, width) != self._size:
            frame = cv2.resize(frame, self._size[::-1])
            height, width = self._size
        # A picture of one pixel's width has no pair to store.
        frame = np.pad(frame, ((0, max(0, height - frame.shape[0])),
                               (0, max(0, width - frame.shape[1])), (0, 0)), "edge")  # fmt: skip
        self._writer.write(cv2.cvtColor(frame[:height, :width], cv2.COLOR_RGB2BGR))
        self.frames += 1

    def _open(self, size: tuple[int, int]) -> None:
        self._temporary = self._file.enter_context(replacing(self.path))
        with _quiet(), _name_for_opencv(self._temporary) as name:
            self._writer = cv2.VideoWriter(
                name, cv2.VideoWriter_fourcc(*self._codec), self.rate, size[::-1]
            )
        self._size = size
        if not self._writer.isOpened():
            raise YoloError(
                f"{printable(self.path)}: OpenCV cannot write this video (no encoder "
                f"{self._codec!r}, or no place to write); try another suffix: "
                f"{', '.join(_CODECS)}"
            )

    def __exit__(self, kind, error, traceback) -> None:
        if self._writer is None:
            return
        self._writer.release()
        # Whatever ended the frames, those that came are a whole video; without any there is none.
        if self.frames:
            with self._file:
                self._refuse_broken()
                if self._comment and self.path.suffix.lower() in (".mp4", ".m4v", ".mov"):
                    with self._temporary.open("ab") as file:
                        size = (8 + len(self._comment)).to_bytes(4, "big")
                        file.write(size + b"free" + self._comment)
        else:
            self._file.__exit__(kind, error, traceback)

    def _refuse_nearly_full_disk(self) -> None:
        free = shutil.disk_usage(self._temporary.parent).free
        if free < _ROOM + _ROOM_FOR_A_FRAME * self.frames:
            raise YoloError(
                f"{printable(self.path)}: the disk is nearly full ({free >> 20} MB are left); the "
                f"video ends after {self.frames} frames"
            )

    def _refuse_broken(self) -> None:
        """Open what was written: of a disk that is full OpenCV says nothing."""
        try:
            with contextlib.closing(Video(self._temporary)) as video:
                # Matroska and AVI name a count at their beginning, whatever follows; the list of
                # frames of the others stands at their end.
                counted = self.path.suffix.lower() in (".mkv", ".avi")
                count = video.count_frames() if counted else video.count
        except DatasetError:
            count = 0
        if count != self.frames:
            raise YoloError(
                f"{printable(self.path)}: cannot be written: {count or 0} of {self.frames} frames "
                "can be read back (is the disk full?)"
            )


@contextlib.contextmanager
def _name_for_opencv(source: Path | int) -> Iterator[str | int]:
    """Yield what OpenCV can open as this very file: it dies of names that are not UTF-8.

    The name is whole, because FFmpeg takes what stands before the colon of `12:30.mp4` for a
    protocol. It need be good only while the file is opened.
    """
    if isinstance(source, int):
        yield source
        return
    name = os.fspath(Path(source).absolute())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, "video").with_suffix(Path(source).suffix)
            try:
                link.symlink_to(name)
            except OSError as error:
                raise DatasetError(
                    f"{printable(name)}: a name that is not UTF-8, which OpenCV cannot open "
                    f"({error.strerror}); rename that file or folder"
                ) from error
            yield os.fspath(link)
    else:
        yield name


@contextlib.contextmanager
def _quiet():
    """Keep OpenCV's own messages off the terminal, as `yolo.pictures.files` does FFmpeg's."""
    before = set_opencv_log_level(LOG_SILENT)
    try:
        yield
    finally:
        set_opencv_log_level(before)
