"""The page's table of models is what `python -m yolo models` prints."""

import re
from pathlib import Path

import pytest

from yolo.cli import main
from yolo.models.names import ZOO

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"


def rows():
    """Return the names in each row, and its parameters, GFLOPs and MB as they are written."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.split("| model | parameters | GFLOPs | MB |")[1].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        name, *numbers = [cell.strip() for cell in line.split("|")[1:5]]
        if all(numbers):
            yield re.findall(r"`([\w-]+)`", name), numbers


def test_every_model_of_the_zoo_has_a_row():
    assert sorted(name for names, _ in rows() for name in names) == sorted(ZOO)


def test_megabytes_are_four_bytes_a_parameter():
    for names, (parameters, _, megabytes) in rows():
        assert megabytes == f"{4 * int(parameters.replace(',', '')) / 1e6:.1f}", names


@pytest.mark.parametrize("name", ["yolov4-tiny", "retinanet-csp-tiny"])
def test_the_numbers_are_those_printed(name, capsys):
    assert main(["models", name]) == 0
    printed = capsys.readouterr().out.splitlines()
    (shown,) = [numbers for names, numbers in rows() if name in names]
    assert printed[0].startswith("80 classes, pictures of 416x416")
    assert printed[1].split()[1:4] == ["parameters", "GFLOPs", "MB"]
    assert printed[2].split()[:4] == [name, *shown]
