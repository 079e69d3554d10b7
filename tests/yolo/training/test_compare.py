"""Losses compared: which arms, what a difference is worth, and equal runs that go on."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from yolo import cli
from yolo.errors import ConfigError
from yolo.training import compare, job
from yolo.training.compare import arms_from, difference, sentence


def test_arms_have_parameters_behind_colons():
    first, second = arms_from("cross-entropy, focal:gamma=1.5:alpha=0.5")
    assert (first.loss, first.options, first.run_name(11)) == (
        "cross-entropy", None, "cross-entropy-seed11",
    )  # fmt: skip
    assert (second.loss, second.options) == ("focal", "gamma=1.5 alpha=0.5")
    for wrong in ("focal", "focal,focal", "focal,nothing", ""):
        with pytest.raises(ConfigError, match="--losses"):
            arms_from(wrong)


def test_a_difference_is_one_where_its_interval_leaves_0_out():
    found = difference([0.1, 0.2, 0.3], [0.2, 0.3, 0.4])  # the same for every seed
    assert found.mean == pytest.approx(0.1) and found.half_width < 1e-6 and found.told
    assert found.p == 0.25  # of eight choices of signs two give a sum as large
    mixed = difference([0.1, 0.2, 0.3], [0.2, 0.1, 0.4])
    # gains 0.1, -0.1, 0.1: mean 1/30, deviation 0.11547, t of 2 degrees of freedom 4.303
    assert mixed.half_width == pytest.approx(4.303 * 0.11547 / 3**0.5, rel=1e-4)
    assert not mixed.told and mixed.p == 1.0
    assert not difference([0.1], [0.9]).told


def test_the_sentence_is_honest():
    arms = arms_from("cross-entropy,focal,quality-focal")
    same = {arm.label: [0.40, 0.42, 0.44] for arm in arms}
    assert sentence(arms, same) == "No difference larger than the spread of 3 seeds."
    found = sentence(arms, {**same, "focal": [0.45, 0.47, 0.48]})
    assert found.startswith("focal gains 0.047 COCO AP against cross-entropy, over 3 seeds;")
    assert found.endswith("no other difference is larger than their spread.")
    assert "One seed says nothing of chance" in sentence(arms, {arm.label: [0.4] for arm in arms})


@pytest.fixture
def trained(monkeypatch):
    """Replace training by a file of results; return the settings of each run."""
    runs = []

    def train(*, write, resume, stop, live, command, verbose, **settings):
        folder = Path(settings["save_dir"]) / settings["name"]
        runs.append({**settings, "folder": folder})
        folder.mkdir(parents=True, exist_ok=True)
        ap = 0.4 + 0.01 * (settings["seed"] if "seed" in settings else 0) / 11
        ap += 0.05 * (settings.get("loss") == "focal")
        result = {"coco": {"AP": ap}, "map_all_point": 2 * ap}
        (folder / "test_results.json").write_text(json.dumps(result), encoding="utf-8")
        lines = ["epoch,loss,COCO_AP,seconds", *(f"{n},1,{ap},3.0" for n in (1, 2))]
        (folder / "results.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        rows = [{"epoch": n, "COCO_AP": ap, "seconds": 3.0} for n in (1, 2)]
        return SimpleNamespace(folder=folder, figures=rows)

    monkeypatch.setattr(job, "train", train)
    return runs


def test_runs_take_turns_with_equal_settings_and_end_on_a_page(trained, here, capsys):
    words = [
        "compare",
        "--data",
        "set",
        "--losses",
        "cross-entropy,focal:gamma=1.5",
        "--seeds",
        "3",
    ]
    assert cli.main([*words, "--epochs", "2"]) == 0
    assert [(run["loss"], run["seed"]) for run in trained] == [
        (loss, seed) for seed in (11, 12, 13) for loss in ("cross-entropy", "focal")
    ]
    assert {run["epochs"] for run in trained} == {2} and {run["data"] for run in trained} == {"set"}
    assert trained[1]["loss_options"] == "gamma=1.5" and "loss_options" not in trained[0]
    out = capsys.readouterr().out
    assert "focal:gamma=1.5 gains 0.050 COCO AP against cross-entropy, over 3 seeds." in out
    page = (here / "logs" / "compare" / "compare.html").read_text(encoding="utf-8")
    for words in ("gains 0.050", "0.4109 ± 0.0009", "95 % interval", "How to read this", "<img"):
        assert words in page, words
    found = json.loads((here / "logs" / "compare" / "compare.json").read_text(encoding="utf-8"))
    assert found["seeds"] == [11, 12, 13] and len(found["arms"]["cross-entropy"]["curves"]) == 3


def test_minutes_become_epochs_once(trained, here, capsys):
    words = ["compare", "--data", "set", "--losses", "cross-entropy,focal", "--seeds", "2"]
    assert cli.main([*words, "--minutes", "6"]) == 0
    # 90 s for each of four runs, of epochs of 3 s and a fifth more
    assert trained[0]["name"] == "trial" and trained[0]["epochs"] == 2
    assert {run["epochs"] for run in trained[1:]} == {25}
    count = len(trained)
    assert cli.main([*words, "--minutes", "6"]) == 0
    assert [run["name"] for run in trained[count:]] == [run["name"] for run in trained[1:count]]


@pytest.mark.parametrize("option", ["--loss focal", "--name a", "--minutes 3 --epochs 4"])
def test_what_it_decides_itself_is_no_option(option, trained, here, outcome):
    code, _, error = outcome(lambda words: cli.main(words), "compare", *option.split())
    assert code == 2 and len(error.splitlines()) == 1 and not trained


def test_the_figures_of_a_run_are_those_of_its_files(tmp_path):
    result = {"coco": {"AP": 0.5}, "map_all_point": 0.75}
    (tmp_path / "val_results.json").write_text(json.dumps(result), encoding="utf-8")
    (tmp_path / "results.csv").write_text("epoch,seconds\n1,30\n2,60\n", encoding="utf-8")
    assert compare.figures_of(tmp_path) == {"COCO_AP": 0.5, "mAP50": 0.75, "minutes": 1.5}
