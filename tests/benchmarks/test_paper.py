"""The paper's ablations: the plan, the results file, the tables, and one arm from end to end."""

import json
import threading
from concurrent import futures

import pytest

from benchmarks.paper import __main__ as command
from benchmarks.paper import figures, results, tables
from benchmarks.paper.arms import ARMS, FOCAL, TABLES, arms_of
from benchmarks.paper.plan import Run, Settings, plan, seconds
from yolo.errors import DatasetError

SETTINGS = Settings(steps=2, image_size=64, batch_size=2, precision="float32", eager=True)


def row(arm, ap, *, seed=1, data_set="shapes", steps=200, **changes):
    return {
        "data_set": data_set, "arm": arm, "seed": str(seed), "steps": str(steps),
        "image_size": "256", "batch_size": "4", "weights": "", "precision": "float32",
        "AP": str(ap / 100), "AP50": str(ap / 50), "AP75": "0", "mAP50": "0", "loss": "1",
        "diverged_at": "0", "seconds": "60", "processor_seconds": "90", "processor": "x", **changes,
    }  # fmt: skip


# ------------------------------------------------------------------------------ the arms


def test_every_arm_stands_in_a_table_and_every_claim_compares_rows_of_its_table():
    assert {name for table in TABLES.values() for name in table.rows} == set(ARMS)
    for table in TABLES.values():
        for better, worse in table.claims:
            assert better in table.rows and worse in table.rows and better != worse


def test_claims_are_what_the_papers_own_numbers_say():
    for table in TABLES.values():
        for better, worse in table.claims:
            theirs = [table.rows[name] for name in (better, worse)]
            if not any(isinstance(numbers, str) for numbers in theirs):
                assert theirs[0][0] > theirs[1][0], (better, worse)


def test_the_losses_of_the_arms_are_what_their_names_say():
    for name, arm in ARMS.items():
        config = arm.loss().get_config()
        assert config.get("from_logits") is True, name
        if name.startswith("ce-a"):
            assert f"ce-a{config['alpha']:g}" == name.removesuffix("-no-prior")
        elif name.startswith("fl-g"):
            expected = f"fl-g{config['gamma']:g}-a{config['alpha']:g}"
            assert expected == name.removesuffix("-no-prior")
        elif name.startswith("ohem"):
            ratio = config["negatives_per_positive"]
            middle = f"1:{ratio:g}-" if ratio else ""
            assert name == f"ohem-{middle}{config['hardest']}-nms{config['nms_iou']:g}"
        assert (arm.prior == 0.5) == ("no prior" in arm.label)


@pytest.mark.long
@pytest.mark.parametrize("name", [n for n, arm in ARMS.items() if "retinanet" in arm.model])
def test_every_retinanet_arm_has_a_finite_loss_that_pulls_on_objects_and_background(name):
    import numpy as np
    import tensorflow as tf

    from yolo.models.anchor_loss import AnchorLoss
    from yolo.models.retinanet.decode import make_anchors
    from yolo.models.retinanet.loss import detection_loss
    from yolo.models.retinanet.settings import RetinaNetLoss, from_profile
    from yolo.models.retinanet.targets import assign

    config, size = from_profile("paper", anchor_sizes=(8, 16, 32, 64, 128)), (64, 64)
    boxes, ids = np.array([[[4, 4, 20, 20]]], "float32"), np.array([[1]], "int32")
    anchors = np.array(make_anchors(config, size))
    matched = np.array(assign(config, RetinaNetLoss(), size, anchors, boxes, ids).matched)
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(-2, 1, (1, len(anchors), 2)), tf.float32)
    deltas = tf.constant(rng.normal(0, 0.1, (1, len(anchors), 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        parts = detection_loss(
            config, RetinaNetLoss(), {"class_logits": logits, "box_deltas": deltas}, size,
            {"boxes": boxes, "classes": ids}, anchor_loss=AnchorLoss(ARMS[name].loss()),
        )  # fmt: skip
    slopes = np.array(tape.gradient(parts["class_loss"], logits))
    assert 0 < float(parts["class_loss"]) < np.inf and np.isfinite(slopes).all()
    assert (slopes[matched >= 0][:, 1] < 0).any() and (slopes[matched == -1] > 0).any()
    if name.startswith("ohem"):
        taught = (slopes != 0).any(axis=-1).sum()
        assert taught <= ARMS[name].loss().hardest < len(anchors)


def test_arms_shared_by_tables_are_run_once():
    runs = plan(["shapes", "bccd"], ["1a", "1b", "3"], 2)
    assert len(runs) == len(set(runs)) == 2 * 2 * (7 + 7 + 2)
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    assert sum(run.arm == FOCAL for run in runs) == 4
    assert len(arms_of(TABLES, quick=True)) < len(arms_of(TABLES)) == len(ARMS)


def test_estimates_come_from_like_runs_where_there_are_any():
    run = Run("shapes", FOCAL, 2)
    rows = [row("ce-a0.5", 1, processor_seconds="100"), row("yolo-fl", 1, processor_seconds="9")]
    rows += [row("ce-a0.5", 1, data_set="bccd", processor_seconds="700")]
    assert seconds(run, Settings(), rows) == 100
    guess = seconds(run, Settings(), [])
    assert guess < seconds(run, Settings(image_size=320), []) < 10 * guess


def test_full_and_quick_passes_are_planned_for_a_night_and_for_twenty_minutes():
    night = plan(command.DATA_SETS, TABLES, 3)
    assert 4 * 3600 < sum(seconds(run, Settings(), []) for run in night) < 8 * 3600
    quick = plan(["shapes"], TABLES, 1, quick=True)
    settings = Settings(**command.QUICK)
    assert sum(seconds(run, settings, []) for run in quick) < 20 * 60


# --------------------------------------------------------------------- the results file


def test_rows_survive_and_a_torn_line_is_dropped(tmp_path):
    path = tmp_path / "deep" / "r.csv"
    assert results.read(path) == []
    first, second = row("ce-a0.5", 10), row("ohem-1:3-128-nms0.5", 20, processor="a, b")
    results.append(first, path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole + "shapes,fl-g2-a0", encoding="utf-8")
    assert results.read(path) == [first]
    results.append(second, path)
    assert results.read(path) == [first, second]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "{columns}\nshapes,ce-a0.5\n"])
def test_a_file_that_is_not_ours_is_refused(tmp_path, text):
    path = tmp_path / "r.csv"
    path.write_text(text.format(columns=",".join(results.COLUMNS)), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"r\.csv"):
        results.read(path)


def test_runs_with_other_settings_are_not_taken_for_done():
    rows = [row("ce-a0.5", 10), row("ce-a0.75", 10, steps=100)]
    same = results.with_settings(rows, results.key(Settings(weights=None)))
    assert results.finished(same) == {Run("shapes", "ce-a0.5", 1)}
    assert not results.with_settings(rows, results.key(Settings(weights="x/tiny.conv.29")))


# --------------------------------------------------------------------------- the tables


@pytest.mark.parametrize(
    "better, worse, expected",
    [
        ({}, {}, "not run"),
        ({1: 5.0}, {2: 4.0}, "not run"),
        ({1: 5.0, 2: 6.0}, {1: 4.0, 2: 4.0}, "too few seeds"),
        ({1: 5.0, 2: 6.0, 3: 5.5}, {1: 4.0, 2: 4.0, 3: 4.0}, "holds"),
        ({1: 4.0, 2: 4.0, 3: 4.0}, {1: 5.0, 2: 6.0, 3: 5.5}, "reversed"),
        ({1: 9.0, 2: 1.0, 3: 5.0}, {1: 4.0, 2: 4.0, 3: 4.0}, "undecided"),
        ({1: 0.0, 2: 0.0, 3: 0.0}, {1: 0.0, 2: 0.0, 3: 0.0}, "undecided"),
    ],
)
def test_verdicts(better, worse, expected):
    assert tables.verdict(better, worse)[0] == expected


def test_means_spreads_verdicts_and_the_papers_numbers_stand_in_the_page(tmp_path):
    rows = [
        *(row("ce-a0.75", ap, seed=seed) for seed, ap in enumerate((20, 21, 22), 1)),
        *(row("ce-a0.5", ap, seed=seed) for seed, ap in enumerate((10, 11, 12.6), 1)),
        *(row("ce-a0.25", ap, seed=seed) for seed, ap in enumerate((30, 32, 31), 1)),
        row("ce-a0.999", 7),
        row("ce-a0.99", 90, steps=100),  # of a shorter plan: not mixed in
        row("fl-g2-a0.25-no-prior", 0, diverged_at="17"),
    ]
    text = "\n".join(tables.sections(rows, tmp_path))
    assert "| CE, α = 0.75 | 31.1 / 49.4 / 33.0 | 21.0 ± 1.0 | 42.0 ± 2.0 |" in text
    assert "| CE, α = 0.999 | 25.1 / 41.7 / 26.1 | 7.0 | 14.0 |" in text
    assert "| CE, α = 0.99 | 28.7 / 47.4 / 29.9 | not run | not run |" in text
    assert "| 1a | CE, α = 0.75 above CE, α = 0.5 | +0.9 | +9.8 ± 0.3 holds |" in text
    assert "| 1a | CE, α = 0.5 above CE, α = 0.25 | +19.4 | -19.8 ± 1.3 reversed |" in text
    assert "not given | 0.0 (1 diverged) |" in text
    assert "5 of 28 arms, seeds 1, 2, 3 (2 of them not with every seed yet)" in text
    assert "not run yet: bccd, raccoon" in text and "90.0" not in text


def test_without_rows_the_page_says_so_and_keeps_its_words(tmp_path):
    page = tmp_path / "paper.md"
    page.write_text(f"before\n\n{tables.START}\n\nold\n\n{tables.END}\nafter\n", encoding="utf-8")
    tables.write([], tmp_path, page)
    once = page.read_text(encoding="utf-8")
    assert "No arm has been run" in once and "old" not in once
    assert once.startswith("before\n") and once.endswith("\nafter\n")
    tables.write([], tmp_path, page)
    assert page.read_text(encoding="utf-8") == once


def test_a_page_without_markers_is_not_touched(tmp_path):
    page = tmp_path / "paper.md"
    page.write_text("mine", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"paper\.md.*markers|paper\.md: expected the lines"):
        tables.write([], tmp_path, page)
    assert page.read_text(encoding="utf-8") == "mine"


def test_the_repositorys_page_is_what_its_results_say():
    text = tables.PAGE.read_text(encoding="utf-8")
    for part in tables.sections(results.read(), results.FOLDER):
        assert part in text, "run python -m benchmarks.paper --tables-only"


# ------------------------------------------------------------------------- end to end


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    from yolo.data import demo

    root = tmp_path_factory.mktemp("paper") / "shapes"
    return demo.write_shapes(root, train=6, val=1, test=3)


def test_an_arm_is_trained_scored_and_written_down(small_set, tmp_path, monkeypatch):
    from benchmarks.paper import run as runner
    from benchmarks.paper.data import Data
    from yolo.data.folder import open_folder

    data = open_folder(small_set)
    train, test = (data.read(name) for name in ("train", "test"))
    opened = []
    monkeypatch.setattr(
        runner, "open_set", lambda *given: opened.append(given) or Data(data.classes, train, test)
    )
    path, what = tmp_path / "r.csv", Run("shapes", "yolo-tutorial-focal", 1)
    written = runner.run(what, str(small_set), SETTINGS, print, path=path)
    assert opened == [("shapes", str(small_set))]
    (kept,) = results.read(path)
    assert {name: str(value) for name, value in written.items()} == kept
    assert kept["diverged_at"] == "0" and float(kept["loss"]) > 0
    assert results.finished(results.with_settings([kept], results.key(SETTINGS))) == {what}


def test_a_loss_that_is_no_number_ends_the_run():
    from benchmarks.paper import run as runner

    watch = runner._watch(10, print)
    watch.set_model(type("Model", (), {"stop_training": False, "trainable_variables": []})())
    watch.on_train_begin()
    watch.on_train_batch_end(0, {"loss": 2.0})
    watch.on_train_batch_end(1, {"loss": 3.0})
    assert watch.losses == [2.0, 4.0] and not watch.diverged_at
    watch.on_train_batch_end(2, {"loss": float("nan")})
    assert watch.diverged_at == 3 and watch.model.stop_training


def test_the_command_skips_what_is_done_and_goes_on_after_an_interruption(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "r.csv"
    results.append(row("ce-a0.75", 10), path)
    started = []

    def process(arguments, **_):
        task = json.loads(arguments[-1])
        started.append(task["arm"])
        code = {"ce-a0.5": 1, "ce-a0.99": 130}.get(task["arm"], 0)
        if code == 0:
            results.append(row(task["arm"], 5, seed=task["seed"]), path)
        return type("Done", (), {"returncode": code})()

    monkeypatch.setattr(command.subprocess, "run", process)
    monkeypatch.setattr(command, "_write_up", lambda path: [])
    monkeypatch.setattr(command.data, "open_set", lambda *_: command.data.Data((), [], []))
    arguments = ["--tables", "1a", "--seeds", "1", "--results", str(path), "--processes", "1"]
    assert command.main(arguments) == 130
    first = list(started)
    assert first == ["ce-a0.1", "ce-a0.25", "ce-a0.5", "ce-a0.9", "ce-a0.99"]
    started.clear()
    assert command.main(arguments) == 130
    assert started == ["ce-a0.5", "ce-a0.99"]
    assert "7 runs of 200 steps" in capsys.readouterr().out
    started.clear()
    with command._claimed(command.Run("shapes", "ce-a0.5", 1), path) as ours:
        assert ours and command.main(arguments) == 130
    assert started == ["ce-a0.99"], "the other is at work in another process"
    assert [one.name for one in tmp_path.iterdir()] == ["r.csv"]


def test_rows_that_are_appended_at_the_same_time_all_arrive(tmp_path):
    path = tmp_path / "r.csv"
    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: results.append(row(FOCAL, 5, seed=seed), path), range(40)))
    assert {one.seed for one in results.finished(results.read(path))} == set(range(40))
    assert len(results.read(path)) == 40


def test_two_runs_at_a_time_do_each_once(tmp_path, monkeypatch, capsys):
    """Two that wait for one another: one alone would wait for ever."""
    path = tmp_path / "r.csv"
    both, started = threading.Barrier(2, timeout=60), []

    def process(arguments, **_):
        task = json.loads(arguments[-1])
        started.append(task["arm"])
        both.wait()
        results.append(row(task["arm"], 5, seed=task["seed"]), path)
        return type("Done", (), {"returncode": 0})()

    monkeypatch.setattr(command.subprocess, "run", process)
    monkeypatch.setattr(command, "_write_up", lambda path: [])
    monkeypatch.setattr(command.data, "open_set", lambda *_: command.data.Data((), [], []))
    arms = ["--tables", "3", "--seeds", "1", "--results", str(path)]
    assert command.main(arms) == 0
    assert len(started) == len(set(started)) >= 2 and not len(started) % 2
    assert command.main(arms) == 0 and "0 runs" not in capsys.readouterr().out
    assert len(started) == len(results.read(path))


def test_a_data_set_without_its_folder_is_asked_for(tmp_path, capsys):
    assert command.main(["--data-sets", "bccd", "--results", str(tmp_path / "r.csv")]) == 1
    assert "--bccd DIR" in capsys.readouterr().out


# ------------------------------------------------------------------------------ figures


def test_figure_4_is_kept_and_read_back(tmp_path, monkeypatch):
    import numpy as np

    from keras_focal.analysis import cumulative_loss

    rng = np.random.default_rng(0)
    p, labels = rng.random(500), rng.integers(0, 2, 500)
    monkeypatch.setattr(figures, "anchor_probabilities", lambda *_: (p, labels))
    figures.keep_curves(None, None, tmp_path / "figure4_x.csv", steps=300)
    monkeypatch.setattr(figures, "anchor_probabilities", lambda *_: (p / 2, labels))
    figures.keep_curves(None, None, tmp_path / "figure4_x.csv", steps=100)  # does not replace it
    (name, path), = figures.curve_files(tmp_path).items()  # fmt: skip
    assert name == "x"
    steps, both = figures.read_curves(path)
    assert steps == 300
    for side, (count, curves) in both.items():
        assert count == (labels == (side == "positives")).sum()
        fractions, shares = curves[2.0]
        exact = np.interp(fractions, *cumulative_loss(p, labels)[side][2.0])
        assert np.allclose(shares, exact, atol=1e-6) and shares[-1] == 1
    assert len("".join(tables._figure_4(tmp_path))) > 300
    for file in figures.draw(tmp_path, tmp_path / "out"):
        assert 3_000 < file.stat().st_size < 100_000


def test_anchor_probabilities_are_those_of_the_loss(small_set):
    import numpy as np

    import yolo
    from yolo.data.folder import open_folder

    data = open_folder(small_set)
    samples = data.read("test")
    detector = yolo.build("retinanet-csp-tiny", classes=data.classes,
                          image_size=(64, 64), anchor_sizes=(8, 16, 32, 64, 128))  # fmt: skip
    p, labels = figures.anchor_probabilities(detector, samples)
    most = len(samples) * len(detector.anchors((64, 64))) * len(detector.classes)
    assert p.shape == labels.shape and 0.9 * most < len(p) <= most
    # a fresh head gives the prior, about
    assert abs(np.median(p) - 0.01) < 0.001 and p.max() < 0.1
    assert 0 < labels.sum() < 0.05 * len(p)
