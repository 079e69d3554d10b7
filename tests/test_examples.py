"""The examples, run in a quick form: fewer rows, pictures and epochs than a reader would take."""

import json
import re
import runpy
from pathlib import Path

import pytest

from tests.faults.full import small
from yolo.models.yolov4 import network

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# Of the notebook: what its first cell sets, and what it is to be here.
FULL, QUICK = "64, 8, 8, (192, 256)", "4, 1, 4, (64, 64)"


@pytest.fixture(scope="module", autouse=True)
def _small_network():
    """What is under test are the examples: the network need not be YOLOv4-tiny's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "build_network", small.build_network)
        yield


def run(name, *arguments):
    """Run an example's `main` with these arguments and return what it returns."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]([*map(str, arguments)])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Run the fine-tuning example for two epochs and return its folder and its result."""
    folder = tmp_path_factory.mktemp("tuned")
    result = run("finetune_own_pictures", "--out", folder, "--image-size", 64, "--epochs", 1,
                 "--batch-size", 4, "--pictures", 8)  # fmt: skip
    return folder, result


def test_fine_tuning(tuned):
    folder, result = tuned
    assert 0 <= result <= 1
    (best,) = folder.glob("*/best.keras")
    assert {"config.toml", "classes.txt", "results.csv", "last.keras"} <= {
        path.name for path in best.parent.iterdir()
    }
    assert len(list((best.parent / "predictions").glob("*.jpg"))) == 2


def test_inside_another_program(tuned, capsys):
    folder, _ = tuned
    (best,) = folder.glob("*/best.keras")
    pictures = folder / "shapes" / "VOCdevkit" / "VOC2007" / "JPEGImages"
    main = runpy.run_path(str(EXAMPLES / "inside_another_program.py"))
    counter = main["Counter"](best, score=0.0)
    from yolo.pictures.files import read_image

    found = counter.look_at(read_image(next(pictures.glob("*.jpg"))))
    assert len(found) > 0 and found.areas.min() >= 100, "an untrained network finds anything"
    run("inside_another_program", best, pictures, "--only", found.labels[0])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
    assert len(lines) == len(list(pictures.glob("*.jpg")))
    assert all(set(line["counts"]) <= {found.labels[0]} for line in lines)


def test_focal_loss_on_a_table(capsys):
    found = run("focal_loss_tabular", "--rows", 6000, "--epochs", 3)
    assert set(found) == {"cross-entropy", "focal"}
    assert min(found.values()) > 0.1, "ten times what chance gives"
    assert re.search(r"6000 rows, [12]\.\d\d% positive", capsys.readouterr().out)


@pytest.mark.long
def test_the_notebook(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert FULL in cells[0]
    assert all(not c.get("outputs") for c in notebook["cells"]), "kept without its outputs"
    variables = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        exec(compile(cell.replace(FULL, QUICK), f"cell {number}", "exec"), variables)
    # The last line of one cell is what a notebook shows.
    assert variables["found"].on(variables["image"])._repr_png_().startswith(b"\x89PNG")
    assert "class,class_id,score" in capsys.readouterr().out


def test_every_example_is_run_here():
    tested = Path(__file__).read_text(encoding="utf-8")
    files = [path for path in sorted(EXAMPLES.iterdir()) if path.is_file()]
    assert [path.name for path in files if path.stem not in tested] == []
