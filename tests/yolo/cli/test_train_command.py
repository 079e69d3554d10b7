"""What `train.py` does with folders around a training; nothing is trained."""

import pytest

from tests.yolo.helpers import everything
from yolo import cli


@pytest.mark.parametrize("more", [["--check"], []])
@pytest.mark.parametrize(
    "options", [["--save-dir", ".", "--name", "VOCdevkit"], ["--name", "a"], ["--name", "b"]]
)
def test_go_on_removes_no_folder_that_no_run_made(here, outcome, options, more):
    for name in ("VOCdevkit/VOC2007/Annotations/a.xml", "logs/a/best.keras", "logs/b/notes.txt"):
        (here / name).parent.mkdir(parents=True)
        (here / name).touch()
    before = everything(here)
    code, out, err = outcome(cli.train_main, "--continue", *options, *more, "--data", "absent")
    assert set(before) <= set(everything(here))
    if more:
        assert code == 3 and "absent: no such folder" in out
    else:
        assert code == 2 and "exists already; choose another --name" in err


@pytest.mark.parametrize("name", [".", "..", "../..", "a/../.."])
@pytest.mark.parametrize("options", [["--continue"], ["--continue", "--check"], []])
def test_a_name_that_leaves_the_save_dir_is_refused(here, outcome, name, options):
    (here / "logs").mkdir()
    (here / "logs" / "kept").touch()
    code, _, err = outcome(cli.train_main, *options, "--name", name, "--data", "absent")
    assert code == 2 and f"--name {name}: expected a name for a new folder in logs" in err
    assert everything(here) == ["logs", "logs/kept"]
