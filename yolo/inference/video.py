"""Videos and cameras: read frames, and write what was drawn on them at the same rate."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from yolo.errors import ConfigError, DatasetError, YoloError
from yolo.files import replacing
from yolo.images import LOG_SILENT, cv2, set_opencv_log_level
from yolo.reading import printable, regular_file

logger = logging.getLogger("yolo")

USUAL_RATE = 25.0  # frames a second, where the source does not say
_TOO_MANY_FRAMES = 1 << 31  # broken headers name absurd counts
# Codecs that OpenCV's own wheels write everywhere, by suffix.
_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


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
            self.name, opened = printable(source), os.fspath(source)
        with _quiet():
            self._capture = cv2.VideoCapture(opened)
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
            logger.warning(
                "%s: ends after %d of %d frames (cut short?)", self.name, read, self.count
            )

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

    Raises:
        ConfigError: a suffix for which no codec is known.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self.rate = Path(path), float(rate)
        self.frames = 0
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
            YoloError: this OpenCV has no encoder, or the folder cannot be written.
        """
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
        temporary = self._file.enter_context(replacing(self.path))
        with _quiet():
            self._writer = cv2.VideoWriter(
                os.fspath(temporary), cv2.VideoWriter_fourcc(*self._codec), self.rate, size[::-1]
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
            self._file.close()
        else:
            self._file.__exit__(kind, error, traceback)


@contextlib.contextmanager
def _quiet():
    """Keep OpenCV's own messages off the terminal, as `yolo.images` does FFmpeg's."""
    before = set_opencv_log_level(LOG_SILENT)
    try:
        yield
    finally:
        set_opencv_log_level(before)
