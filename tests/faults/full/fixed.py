"""Faults of which there is a fixed number, T17 to T24: the tests that bring them about, counted.

Their quick form is their full one, but for the folder of T19, which the tests try smaller.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults.full.pictures import variants
from tests.faults.full.table import Row

ROOT = Path(__file__).resolve().parents[3]
TESTS = {
    "T17": ("bombs", "test_bombs.py"),
    "T18": ("kinds of files, odd names", "test_kinds_and_names.py"),
    "T19": ("bad files among good ones", "test_commands.py"),
    "T20": ("names that lead out", "test_escapes.py"),
    "T21": ("malicious .keras files", "test_malicious_models.py"),
    "T22": ("faulty annotations", "test_voc_table.py"),
    "T23": ("ways to store a picture", "test_parity.py"),
    "T24": ("weights that do not fit", "test_importer.py"),
}


def _tests(name: str, quick: bool) -> Iterator[Row]:
    """Run a file of tests and count those that passed; those that were skipped do not count."""
    what, file = TESTS[name]
    with tempfile.TemporaryDirectory() as work:
        report = Path(work) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                   f"--junitxml={report}", str(ROOT / "tests" / "faults" / file)]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        if not report.exists():
            raise RuntimeError(f"{file}: {done.stdout[-500:]} {done.stderr[-500:]}")
        cases = [c for c in ET.parse(report).iter("testcase") if c.find("skipped") is None]
    lost = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    for case in lost:
        print(f"{name} {case.get('name')}: failed", file=sys.stderr)
    seconds = max(float(case.get("time", 0)) for case in cases)
    yield Row(f"{name} {what}", len(cases), len(cases) - len(lost), seconds)


def _folder(quick: bool) -> Iterator[Row]:
    """T19: predict.py on good and bad pictures: all results, a line for each bad one, code 1."""
    import yolo

    good, bad = (20, 5) if quick else (1000, 100)
    files = list(variants().items())
    with tempfile.TemporaryDirectory() as work:
        folder, model = Path(work) / "in", Path(work) / "model.keras"
        folder.mkdir()
        for number in range(good):
            name, data = files[number % len(files)]
            (folder / f"good{number}.{name.split()[0]}").write_bytes(data)
        for number in range(bad):
            name, data = files[number % len(files)]
            cut = data[: len(data) * (number % 7) // 20]  # a third at most, from nothing on
            (folder / f"bad{number}.{name.split()[0]}").write_bytes(cut)
        yolo.build("yolov4-tiny", classes=["a"], image_size=(64, 64)).save(model)
        out = Path(work) / "out"
        process = subprocess.run(
            [sys.executable, "predict.py", str(folder), "--weights", str(model), "--no-draw",
             "--out", str(out)],
            cwd=ROOT, capture_output=True, encoding="utf-8",
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        found = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    results = {Path(entry["file"]).stem for entry in found}
    errors = [line for line in process.stdout.splitlines() if line.startswith("error: ")]
    named = {re.search(r"/(bad\d+)\.", line)[1] for line in errors}
    survived = len(results & {f"good{n}" for n in range(good)}) + len(named)
    if process.returncode != 1 or len(errors) != bad or process.stderr:
        print(f"T19: exit code {process.returncode}, {len(errors)} errors, {process.stderr[-300:]}",
              file=sys.stderr)  # fmt: skip
        survived = 0
    yield Row("T19 pictures in a folder, one in eleven bad", good + bad, survived)


FAULTS = {**{name: partial(_tests, name) for name in TESTS}, "T19-folder": _folder}
