"""XML files of others, whatever tool wrote them: parsed within limits, with their lines."""

from __future__ import annotations

import codecs
import os
import re
from collections import defaultdict
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from yolo.errors import DatasetError
from yolo.system.reading import printable, read_regular

MAX_XML_BYTES = 10_000_000
MAX_ELEMENTS = 200_000
MAX_DEPTH = 100
# What labelling tools write. Others of Python's codecs are no encodings of text, or take minutes.
ENCODINGS = frozenset(
    "utf-8 utf-16 utf-16-le utf-16-be ascii gb2312 gbk gb18030 big5 big5hkscs shift_jis cp932 "
    "euc_jp euc_kr cp949 koi8-r koi8-u".split()
) | frozenset(f"cp{n}" for n in (437, 850, 866, 874, *range(1250, 1259))) | frozenset(
    f"iso8859-{n}" for n in range(1, 17)
)  # fmt: skip


def read_xml(
    path: str | os.PathLike, root: str, *, pictures: int = 1
) -> tuple[Element, dict[str, list[int]]]:
    """Parse an XML file.

    Elements count by their names alone: an XML namespace, which some tools declare, is passed over.

    Args:
        path: in UTF-8, UTF-16 or the encoding it declares. Text that is not UTF-8 although nothing
            else is declared is taken as GB18030, as Chinese Windows writes it.
        root: the name of its outermost element.
        pictures: how many times the limits of one picture's file hold for this one.

    Returns:
        The outermost element, and by tag the lines where its direct children stand, from 1.

    Raises:
        DatasetError: missing, larger than 10 MB, no XML, with a document type, in an unusual
            encoding, with more than 200,000 elements or 100 within each other, or its outermost
            element is another.
    """
    data = read_regular(path, max_bytes=pictures * MAX_XML_BYTES)
    try:
        text = _text(data)
        if text.count("<") > 2 * pictures * MAX_ELEMENTS:
            raise ValueError(f"more than {pictures * MAX_ELEMENTS} elements")
        found, lines = _parsed(text)
    except _HasDocumentType:
        raise DatasetError(
            f"{printable(path)}: has a document type or entities, which are refused: remove them"
        ) from None
    except (expat.ExpatError, ValueError, LookupError, RecursionError) as error:
        raise DatasetError(
            f"{printable(path)}: no readable XML ({printable(str(error))[:200]}): correct or "
            "remove it"
        ) from None
    if found.tag != root:
        raise DatasetError(
            f"{printable(path)}: the outermost element is <{printable(found.tag)[:60]}>; expected "
            f"<{root}>"
        )
    return found, lines


class _HasDocumentType(Exception):
    """What alone can declare entities: without it a text is as large as it looks."""


def _parsed(text: str) -> tuple[Element, dict[str, list[int]]]:
    """Return the outermost element, and by tag the lines on which its direct children start."""
    builder, lines, depth = TreeBuilder(), defaultdict[str, list[int]](list), 0
    parser = expat.ParserCreate("utf-8", "}")  # between an XML namespace and a name

    def start(name: str, attributes: dict) -> None:
        nonlocal depth
        tag, depth = name.rpartition("}")[2], depth + 1
        if depth == 2:
            lines[tag].append(parser.CurrentLineNumber)
        elif depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} elements within each other")
        builder.start(tag, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*declared: object) -> None:
        raise _HasDocumentType

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8"), True)
    finally:
        parser.StartElementHandler = None  # which holds the parser in turn
    return builder.close(), lines


def _text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    declared = re.match(
        rb"(?:\xef\xbb\xbf)?\s{0,99}<\?xml[^>]{0,999}?encoding\s*=\s*[\"']([\w.:-]{1,40})", data
    )
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    name = codecs.lookup(encoding).name
    if name not in ENCODINGS:
        raise ValueError(f"the encoding {encoding} is not taken; save it as UTF-8")
    if name == "utf-8":
        try:
            return data.decode("utf-8-sig").lstrip()
        except UnicodeDecodeError:
            try:
                return data.decode("gb18030").lstrip()
            except UnicodeDecodeError:
                raise ValueError("neither UTF-8 nor GB18030 text") from None
    return data.decode(encoding).lstrip()
