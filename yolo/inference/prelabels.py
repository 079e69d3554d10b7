"""What was found as labels to correct: a folder or file for each labelling tool or format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yolo.data.formats import coco, cvat, label_studio, voc
from yolo.errors import ConfigError
from yolo.inference.results import GrowingFile, Result
from yolo.pictures.files import encode_image
from yolo.pictures.header import read_header
from yolo.system.reading import printable
from yolo.system.writing import replacing, write_bytes, write_text


class _ToCorrect:
    """A folder of annotations, to correct in a labelling tool, and the list of their classes.

    Raises:
        ConfigError: it holds annotations already, which may have been corrected by hand.
    """

    folder = labels = ""  # its name, and where in it the annotations lie

    def __init__(self, out: Path, classes):
        self.path = out / self.folder
        self._classes = classes
        if any(self.path.glob(self.labels)):
            raise ConfigError(
                f"{printable(self.path)}: holds annotations already, perhaps corrected by hand; "
                "move that folder away or name another --out"
            )

    def close(self) -> None:
        """Write the class list."""
        write_text(self.path / "classes.txt", "".join(f"{name}\n" for name in self._classes))


class VocFolder(_ToCorrect):
    """`voc/`: Annotations and JPEGImages, which one can also train on."""

    folder, labels = "voc", "Annotations/*.xml"

    def add(self, result: Result) -> None:
        """Write the annotation and, beside it, the picture: its file as it is, or the frame."""
        name = _put(result, self.path / "JPEGImages")
        text = voc.detections_xml(result.found, name, result.image.shape[:2])
        write_text(self.path / "Annotations" / f"{result.stem}.xml", text)


class YoloFolder(_ToCorrect):
    """`yolo/`: labels as text files, and the class list that their numbers index."""

    folder, labels = "yolo", "labels/*.txt"

    def add(self, result: Result) -> None:
        """Write the label file; an empty one says that nothing was found."""
        text = result.found.to_yolo_text(result.image.shape[:2])
        write_text(self.path / "labels" / f"{result.stem}.txt", text)


class CocoFolder(_ToCorrect):
    """`coco/`: a data set of an instances file and its pictures, with a score for each object."""

    folder, labels = "coco", "annotations/*.json"

    def __init__(self, out: Path, classes):
        super().__init__(out, classes)
        self._file = coco.Instances(classes)

    def add(self, result: Result) -> None:
        """Take over one result, and put the picture beside it."""
        name = _put(result, self.path / "images")
        height, width = result.image.shape[:2]
        found = result.found.clipped((height, width))
        self._file.add(len(self._file.images) + 1, name, (height, width), found)

    def close(self) -> None:
        """Write the instances file."""
        write_text(self.path / "annotations" / "instances_default.json", self._file.text())


class LabelStudioFolder(_ToCorrect):
    """`label-studio/`: tasks with predictions, their pictures, and the labelling interface."""

    folder, labels = "label-studio", "tasks.json"

    def __init__(self, out: Path, classes):
        super().__init__(out, classes)
        self._file, self._separator = GrowingFile(self.path / "tasks.json", "["), "\n"

    def add(self, result: Result) -> None:
        """Write one task, and put the picture beside it."""
        name = _put(result, self.path / "images")
        picture = f"{self.folder}/images/{name}"
        task = label_studio.task(picture, result.image.shape[:2], result.found)
        self._file.write(self._separator + json.dumps(task, ensure_ascii=False))
        self._separator = ",\n"

    def close(self) -> None:
        """Write the tasks, whole or not at all, and the interface."""
        self._file.close("\n]\n")
        write_text(self.path / "interface.xml", label_studio.interface(self._classes))


class CvatFolder(_ToCorrect):
    """`cvat/`: annotations in CVAT's own XML, and their pictures, for a task of these."""

    folder, labels = "cvat", "annotations.xml"

    def __init__(self, out: Path, classes):
        super().__init__(out, classes)
        self._file, self._count = GrowingFile(self.path / self.labels, cvat.beginning(classes)), 0

    def add(self, result: Result) -> None:
        """Write what was found in one picture, and put the picture beside it."""
        name = _put(result, self.path / "images")
        self._file.write(cvat.image(self._count, name, result.image.shape[:2], result.found))
        self._count += 1

    def close(self) -> None:
        """Write the file, whole or not at all."""
        self._file.close(cvat.END)


def _put(result: Result, folder: Path) -> str:
    """Put a result's picture into a folder, its file as it is or the frame; return its name."""
    path = result.path
    if path is None:
        name = f"{result.stem}.jpg"
        write_bytes(folder / name, encode_image(result.image, ".jpg"))
        return name
    kind = read_header(path).kind
    name = f"{result.stem}.{'jpg' if kind == 'jpeg' else kind}"
    with replacing(folder / name) as temporary:
        shutil.copyfile(path, temporary)
    return name


# Words of --save.
WRITERS: dict[str, Callable[..., Any]] = {
    "voc": VocFolder,
    "yolo": YoloFolder,
    "coco": CocoFolder,
    "label-studio": LabelStudioFolder,
    "cvat": CvatFolder,
}
