"""What is told apart and not read: files of other tools, and what to export instead."""

from __future__ import annotations

import re
from typing import NamedTuple

from yolo.data.source import Source
from yolo.system.reading import printable

LOOKED_AT = 20  # files of each suffix


class _Form(NamedTuple):
    """A form of files that is not read.

    Args:
        suffixes: of its files; () for any.
        pattern: what their first bytes hold.
        words: what it is and what to do.
    """

    suffixes: tuple[str, ...]
    pattern: bytes
    words: str


_FORMS = (
    _Form((".json",), rb'"shape_attributes"', "VIA's own JSON: export COCO from it"),
    _Form((".json",), rb'"shapes"\s*:.*"points"|"imagePath"|"imageData"',
          "LabelMe's JSON: convert it to VOC or COCO (labelme2voc, labelme2coco)"),
    _Form((".json",), rb'"image_id".*"score"|"score".*"image_id"',
          "a list of results: evaluate.py --results takes them"),
    _Form((".json",), rb'"image"\s*:.*"coordinates"',
          "CreateML's JSON: export COCO, YOLO or VOC instead"),
    _Form((".json",), rb'"(annotations|predictions|completions)"\s*:.*"(result|data)"\s*:',
          "Label Studio's own JSON: export COCO, YOLO or VOC with images instead"),
    _Form((".json",), rb'"(geometryType|classTitle)"', "Supervisely's JSON: export COCO instead"),
    _Form((".json", ".vott"), rb'"asset"\s*:.*"regions"',
          "VoTT's own JSON: export VOC or CSV instead"),
    _Form((".csv",), rb"region_shape_attributes", "VIA's own CSV: export COCO from it"),
    _Form((".csv", ".tsv"), rb"\A[^\r\n]*[,;\t][^\r\n]*",
          "a table; expected columns such as filename, class, xmin, ymin, xmax, ymax"),
    _Form((".tfrecord", ".tfrecords", ".record"), rb"",
          "TFRecords of another program: export COCO, YOLO or VOC instead"),
    _Form((".parquet", ".arrow"), rb"", "a table of Hugging Face: save its pictures and boxes"),
    _Form((".mat",), rb"", "a file of MATLAB: convert it to CSV or COCO"),
    _Form((".txt",), rb"\A\S+ [\d.]+ \d -?[\d.]+ [\d.]+ [\d.]+ [\d.]+ [\d.]+ ",
          "KITTI's labels: convert them to YOLO, VOC or COCO"),
    _Form((), rb"\A(7z\xbc\xaf|Rar!|PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ)",
          "an archive: unpack it, or name a .zip, .tar or .tar.gz so"),
)  # fmt: skip


def hint(source: Source) -> str:
    """Return what the files of a source are, "" where nobody knows.

    Args:
        source: one that is in no known format.
    """
    if source.file is not None:
        names = [source.named]
    else:
        names = [name for found in source.by_suffix.values() for name in found[:LOOKED_AT]]
    for form in _FORMS:
        for name in names:
            right = not form.suffixes or name.lower().endswith(form.suffixes)
            if right and re.search(form.pattern, source.head(name), re.DOTALL):
                return f"; {printable(name)} is {form.words}"
    return ""
