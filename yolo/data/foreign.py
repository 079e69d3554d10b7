"""What is told apart and not read: files of other tools, and what to export instead."""

from __future__ import annotations

import re

from yolo.data.source import Source
from yolo.system.reading import printable

LOOKED_AT = 20  # files of each suffix
# Suffixes of files (() for any), what their first bytes hold, what they are and what to do.
_FORMS = (
    ((".json",), rb'"shape_attributes"', "VIA's own JSON: export COCO from it"),
    ((".json",), rb'"shapes"\s*:.*"points"|"imagePath"|"imageData"',
          "LabelMe's JSON: convert it to VOC or COCO (labelme2voc, labelme2coco)"),
    ((".json",), rb'"image_id".*"score"|"score".*"image_id"',
          "a list of results: evaluate.py --results takes them"),
    ((".json",), rb'"image"\s*:.*"coordinates"',
          "CreateML's JSON: export COCO, YOLO or VOC instead"),
    ((".json", ".csv", ".tsv"),
          rb'"(annotations|predictions|completions)"\s*:.*"(result|data)"\s*:|"rectanglelabels"',
          "Label Studio's own form: export COCO, YOLO or VOC with images instead"),
    ((".json",), rb'"categories"\s*:\s*\{',
          "Datumaro's own JSON: export COCO, YOLO or VOC instead"),
    ((".json",), rb'"(geometryType|classTitle)"', "Supervisely's JSON: export COCO instead"),
    ((".json", ".vott"), rb'"asset"\s*:.*"regions"',
          "VoTT's own JSON: export VOC or CSV instead"),
    ((".csv",), rb"region_shape_attributes", "VIA's own CSV: export COCO from it"),
    ((".csv", ".tsv"), rb"\A[^\r\n]*[,;\t][^\r\n]*",
          "a table; expected columns such as filename, class, xmin, ymin, xmax, ymax"),
    ((".tfrecord", ".tfrecords", ".record"), rb"",
          "TFRecords of another program: export COCO, YOLO or VOC instead"),
    ((".parquet", ".arrow"), rb"", "a table of Hugging Face: save its pictures and boxes"),
    ((".mat",), rb"", "a file of MATLAB: convert it to CSV or COCO"),
    ((".txt",), rb"\A\S+ [\d.]+ \d -?[\d.]+ [\d.]+ [\d.]+ [\d.]+ [\d.]+ ",
          "KITTI's labels: convert them to YOLO, VOC or COCO"),
    ((".txt",), rb"\A[^\r\n]*\.(?i:jpe?g|png|bmp|tiff?|webp)( -?[\d.]+){4}",
          "a list whose boxes lack commas; expected picture x1,y1,x2,y2,class"),
    ((".txt",), rb"\A[^\r\n]*[A-Za-z][^\r\n]*( -?[\d.]+){4}\s*(\n|\Z)",
          "text of class left top right bottom, as OIDv4's tool writes it: convert it to CSV"),
    ((), rb"\A(7z\xbc\xaf|Rar!|PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ)",
          "an archive: unpack it, or name a .zip, .tar or .tar.gz so"),
)  # fmt: skip


def hint(source: Source) -> str:
    """Return what the files of a source are, "" where nobody knows."""
    if source.file is not None:
        names = [source.named]
    else:
        names = [name for found in source.by_suffix.values() for name in found[:LOOKED_AT]]
    for suffixes, pattern, words in _FORMS:
        for name in names:
            right = not suffixes or name.lower().endswith(suffixes)
            if right and re.search(pattern, source.head(name), re.DOTALL):
                return f"; {printable(name)} is {words}"
    return ""
