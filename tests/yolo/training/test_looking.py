"""What is looked at before a run: data, anchors, batches, and a handful learned by heart."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from yolo import cli, zoo
from yolo.cli import train
from yolo.data import anchor_fit
from yolo.data import folder as dataset
from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.models.retinanet.decode import make_anchors
from yolo.models.yolov4.settings import YOLOV4_TINY_ANCHORS, YOLOv4Config
from yolo.pictures.files import read_image
from yolo.settings.detector import model_options, model_settings, read_anchors
from yolo.settings.train import TrainConfig
from yolo.system.terminal import Screen
from yolo.training import data_check, fit_anchors, overfit, preview
from yolo.weights import loading


@pytest.fixture
def config(shapes, tmp_path):
    return TrainConfig(
        data=str(shapes), image_size=(64, 64), batch_size=4, precision="float32",
        save_dir=str(tmp_path / "logs"),
    )  # fmt: skip


# -------------------------------------------------------------------------------- anchors


def test_the_models_anchors_follow_from_the_settings(tmp_path):
    shapes, groups = fit_anchors.anchor_shapes(TrainConfig())
    assert shapes.tolist() == [list(a) for a in YOLOV4_TINY_ANCHORS]
    assert groups == ((0, 1, 2), (3, 4, 5))
    assert fit_anchors.anchor_shapes(TrainConfig(masks="coco"))[1][0] == (1, 2, 3)
    assert fit_anchors.anchor_shapes(TrainConfig(masks="0,1/2,3"))[1] == ((0, 1), (2, 3))
    assert len(fit_anchors.anchor_shapes(TrainConfig(model="yolov4", anchors="auto"))[0]) == 9
    with pytest.raises(ConfigError, match="masks by name are coco, custom.*received 'x'"):
        fit_anchors.anchor_shapes(TrainConfig(masks="x"))
    with pytest.raises(ConfigError, match="masks are like"):
        model_options(TrainConfig(masks="0,1/b"))


def test_a_retinanets_width_and_norm_follow_from_the_settings():
    given = {"model": "retinanet-csp-tiny", "channels": 256, "head_norm": "none"}
    made = model_settings(TrainConfig(**given))
    assert (made.channels, made.head_norm) == (256, "none")
    usual = model_settings(TrainConfig(model="retinanet-csp-tiny"))
    assert (usual.channels, usual.head_norm) == (64, "group")
    wide = model_settings(TrainConfig(model="retinanet"))
    assert (wide.channels, wide.head_norm) == (256, "none")
    second = TrainConfig(model="retinanet-r18", profile="torchvision-v2")
    assert model_settings(second).head_norm == "group"
    with pytest.raises(ConfigError, match="channels is a multiple of 32, not 40"):
        model_settings(TrainConfig(**given | {"channels": 40}))


def test_fitted_anchors_are_shown_and_taken_if_better(config, tmp_path):
    data = dataset.open_data(config)
    fit = fit_anchors.fit_anchors(config, data.train, data.classes)
    assert fit.better and fit.after.recall > fit.before.recall + 0.05
    assert fit.after == fit_anchors.fit_anchors(config, data.train, data.classes).after
    assert np.array_equal(fit.chosen, fit.new)
    lines = fit_anchors.describe_fit(fit, ((0, 1, 2), (3, 4, 5)))
    assert lines[0].startswith("anchors now: best possible recall") and "10x14  23x27" in lines[0]
    assert lines[-1] == "the fitted anchors are taken"
    auto, shown = dataclasses.replace(config, anchors="auto"), []
    settled, again = fit_anchors.settle_anchors(
        auto, data.train, data.classes, tmp_path, shown.append
    )
    assert settled.anchors == str(tmp_path / "anchors.txt") and again.better and shown == lines
    assert fit_anchors.anchor_shapes(settled)[0].tolist() == fit.new.tolist()
    kept = dataclasses.replace(config, anchors="keep")
    assert fit_anchors.settle_anchors(kept, [], (), tmp_path, None) == (kept, None)
    same = dataclasses.replace(fit, better=False, after=fit.before)
    assert np.array_equal(same.chosen, fit.old)
    assert "the present ones stay" in fit_anchors.describe_fit(same, ((0, 1),))[-1]
    near = dataclasses.replace(fit, better=False)
    assert (
        "the present ones reach 90% of every class and stay"
        in (fit_anchors.describe_fit(near, ((0, 1),))[-1])
    )


def test_a_retinanet_keeps_anchors_that_reach_every_class(config, monkeypatch):
    data = dataset.open_data(config)
    monkeypatch.setattr(anchor_fit, "is_better", lambda *_: True)
    wide = dataclasses.replace(config, model="retinanet-csp-tiny")
    fit = fit_anchors.fit_anchors(wide, data.train, data.classes)
    assert fit.better and anchor_fit.overlooks(fit.before)
    monkeypatch.setattr(anchor_fit, "FEWEST_REACHED", 0.0)
    assert not fit_anchors.fit_anchors(wide, data.train, data.classes).better
    assert fit_anchors.fit_anchors(config, data.train, data.classes).better


def test_a_retinanet_has_the_share_of_objects_that_any_anchor_matches(config):
    retina = dataclasses.replace(config, model="retinanet-csp-tiny", loss="focal")
    shapes, groups = fit_anchors.anchor_shapes(retina)
    assert shapes.shape == (45, 2) and groups[4] == tuple(range(36, 45))
    assert shapes[0] == pytest.approx([32 / 0.5**0.5, 32 * 0.5**0.5])
    assert shapes[:9].prod(axis=1) == pytest.approx(
        np.repeat([32**2, (32 * 2 ** (1 / 3)) ** 2, (32 * 2 ** (2 / 3)) ** 2], 3)
    )
    data = dataset.open_data(retina)
    recall = fit_anchors.anchor_recall(retina, data.train, data.classes)
    assert recall.recall == 0, "drawn at 320x240, the shapes are small on 64x64"
    large = dataclasses.replace(retina, image_size=(256, 256))
    assert fit_anchors.anchor_recall(large, data.train, data.classes).recall > 0.8
    shorter = dataclasses.replace(retina, resize="shorter", image_size=(192, 256))
    assert fit_anchors.anchor_recall(shorter, data.train, data.classes).recall > 0.8


def test_a_retinanets_anchors_are_fitted_level_by_level_and_trained_with(config, tmp_path):
    retina = dataclasses.replace(config, model="retinanet-csp-tiny", loss="focal", anchors="auto")
    data = dataset.open_data(retina)
    fitted, fit = fit_anchors.settle_anchors(
        retina, data.train * 8, data.classes, tmp_path, lambda line: None
    )
    assert fit.better and fit.before.recall == 0 and fit.after.recall > 0.5
    again = fit_anchors.anchor_recall(fitted, data.train * 8, data.classes)
    assert again.recall == fit.after.recall
    shapes, groups = fit_anchors.anchor_shapes(fitted)
    old, _ = fit_anchors.anchor_shapes(retina)
    assert len(shapes) == 45 and groups[0] == tuple(range(9))
    assert (shapes[:9].prod(axis=1) < 32**2).all(), "the objects are small on 64x64"
    np.testing.assert_allclose(shapes[9:], old[9:], rtol=1e-4)  # none is as large as these
    model = zoo.build(
        fitted.model, classes=data.classes, image_size=fitted.image_size,
        **model_options(fitted),
    )  # fmt: skip
    height, width = retina.image_size
    first = np.asarray(make_anchors(model.architecture, (height, width)))[:9]
    np.testing.assert_allclose(first[:, 2:] - first[:, :2], shapes[:9], rtol=1e-5)
    np.testing.assert_allclose((first[:, 2:] + first[:, :2]) / 2, 4.0)  # middle of the first cell
    saved_as = tmp_path / "small.keras"
    model.save(saved_as)
    assert loading.load(saved_as).architecture == model.architecture


def test_anchors_of_a_retinanet_are_equally_many_on_each_level(config, tmp_path):
    (tmp_path / "six.txt").write_text("10,14, 23,27, 37,58, 81,82, 135,169, 344,319", "utf-8")
    retina = dataclasses.replace(
        config, model="retinanet-csp-tiny", anchors=str(tmp_path / "six.txt")
    )
    with pytest.raises(ConfigError, match="equally many for each of P3 to P7; received 6"):
        model_settings(retina)


def test_the_anchors_command_writes_a_file_that_training_takes(shapes, tmp_path, capsys):
    out = tmp_path / "my anchors.txt"
    code = cli.main(["anchors", "--data", str(shapes), "--image-size", "64", "--out", str(out)])
    assert code == 0 and f'--anchors "{out}" --image-size 64x64' in capsys.readouterr().out
    written = read_anchors(out)
    assert len(written) == 6 and written != YOLOV4_TINY_ANCHORS
    YOLOv4Config("yolov4-tiny", written, ((0, 1, 2), (3, 4, 5)))
    recall = fit_anchors.anchor_recall(
        TrainConfig(data=str(shapes), image_size=(64, 64), anchors=str(out)),
        dataset.open_data(TrainConfig(data=str(shapes))).train,
        tuple(dataset.open_data(TrainConfig(data=str(shapes))).classes),
    )
    assert recall.recall > 0.9


# ----------------------------------------------------------------------------------- data


def test_each_split_is_checked_once(config):
    data = dataset.open_data(config)
    assert list(data_check.splits_of(data, config)) == ["train", "val", "test"]
    alone = dataclasses.replace(data, val=data.train, test=data.train, test_name="val")
    assert list(data_check.splits_of(alone, config)) == ["train"]
    tested = dataclasses.replace(data, test=data.val, test_name="val")
    assert list(data_check.splits_of(tested, config)) == ["train", "val"]


def test_data_that_cannot_be_read_are_refused_with_the_reason(tmp_path):
    data, report = data_check.read_and_check(TrainConfig(data=str(tmp_path / "gone")))
    assert data is None
    with pytest.raises(DatasetError, match="gone: no such folder; expected one of labelled"):
        data_check.accepted(data, report)


def test_strict_refuses_what_is_otherwise_repaired(config, shapes, tmp_path, caplog):
    copy = tmp_path / "VOC2007"
    for path in shapes.rglob("*.*"):
        target = copy / path.relative_to(shapes)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    path = copy / "Annotations" / "000001.xml"
    text = path.read_text(encoding="utf-8").replace("<width>320", "<width>321")
    path.write_text(text, encoding="utf-8")
    config = dataclasses.replace(config, data=str(copy))
    data_check.accepted(*data_check.read_and_check(config))
    assert "<size> is not the picture's" in caplog.text
    data, report = data_check.read_and_check(dataclasses.replace(config, strict=True))
    with pytest.raises(DatasetError, match="fault.*000001.xml:[0-9]+: 321x240 for 320x240"):
        data_check.accepted(data, report)


def test_the_check_command_reports_and_exits(shapes, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["check", "--data", str(shapes), "--image-size", "64", "--out", str(out)]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert "16 pictures (all 16 decoded), 7 classes; 0 errors" in shown
    assert {"check.html", "check.json", "check.txt"} <= {path.name for path in out.iterdir()}
    report = json.loads((out / "check.json").read_text(encoding="utf-8"))
    assert report["splits"]["train"]["pictures"] == 8 and report["image_size"] == [64, 64]
    assert "anchors now: best possible recall" in shown and "anchors fitted: best" in shown
    assert cli.main([*words, "--anchors", "keep"]) == 0
    assert "fitted" not in capsys.readouterr().out
    assert cli.main(["check", "--data", str(tmp_path / "gone"), "--out", str(out)]) == 3
    assert "gone: no such folder" in capsys.readouterr().out


# -------------------------------------------------------------------------------- batches


def test_batches_are_drawn_as_the_network_gets_them(config, tmp_path):
    data = dataset.open_data(config)
    settings = model_settings(config)
    written = preview.write_batches(config, data, settings, 2, tmp_path)
    assert [path.name for path, _ in written] == ["batch_1.jpg", "batch_2.jpg"]
    for path, about in written:
        assert read_image(path).shape[1] > 4 * preview.CELL
        objects, matched = (int(word) for word in about.split() if word.isdigit())
        assert matched >= objects > 0
    retina = dataclasses.replace(config, model="retinanet-csp-tiny", image_size=(256, 256))
    settings = model_settings(retina)
    ((path, about),) = preview.write_batches(retina, data, settings, 1, tmp_path / "retina")
    objects, matched = (int(word) for word in about.split() if word.isdigit())
    assert matched > objects > 0 and path.is_file()


def test_batches_are_those_of_a_run_that_leaves_out_the_remainder_too(
    config, tmp_path, monkeypatch
):
    plans = []
    monkeypatch.setattr(
        preview.pipeline, "training_dataset", lambda samples, plan, **_: plans.append(plan) or []
    )
    for drop in (True, False):
        settings = dataclasses.replace(config, drop_remainder=drop)
        preview.write_batches(settings, SimpleNamespace(train=[]), None, 1, tmp_path)
    assert [plan.drop_remainder for plan in plans] == [True, False]


def test_objects_and_their_anchors_are_in_the_picture():
    image = np.zeros((64, 64, 3), np.uint8)
    boxes = np.float32([[20, 20, 50, 50], [0, 0, 0, 0]])
    drawn = preview.draw_batch_picture(
        image, boxes, np.int32([0, -1]), np.float32([[5, 5, 60, 60]]), ["a"]
    )
    assert (drawn[5, 50] == 255).all() and (drawn[50, 30] == (255, 64, 64)).all()
    assert not image.any()


# -------------------------------------------------------------------------------- overfit


def sample(name, *ids):
    count = len(ids)
    no = np.zeros(count, bool)
    boxes = np.tile(np.float32([0, 0, 9, 9]), (count, 1))
    return Sample(name, boxes, np.array(ids, np.int32), no, no, (9, 9), name)


def test_a_handful_shows_all_classes_with_few_objects():
    samples = [sample("none"), sample("many", *[0] * 30), sample("one", 0), sample("two", 0, 1),
               sample("rare", 2)]  # fmt: skip
    assert [s.image_id for s in overfit.choose(samples, 2)] == ["two", "rare"]
    assert [s.image_id for s in overfit.choose(samples, 9)] == ["two", "rare", "one", "many"]
    with pytest.raises(DatasetError, match="no training picture has an object to learn"):
        overfit.choose(samples[:1], 8)


def test_a_dry_run_varies_nothing_and_keeps_what_is_tried():
    config = TrainConfig(batch_size=16, loss="focal", image_size=(96, 96), mosaic=1.0,
                         freeze_epochs=3, name="x", multi_scale=True)  # fmt: skip
    dry = overfit.overfit_settings(config, 8)
    assert (dry.batch_size, dry.loss, dry.image_size) == (8, "focal", (96, 96))
    assert (dry.mosaic, dry.flip, dry.hue, dry.scale) == (0, 0, 0, (1, 1))
    assert not dry.multi_scale and dry.freeze_epochs == 0 and dry.name is None
    assert overfit.overfit_settings(dataclasses.replace(config, batch_size=0), 3).batch_size == 3


def test_objects_that_no_anchor_learns_are_counted_by_class(config):
    """A RetinaNet's smallest anchors are 32 pixels: objects of 10 overlap none by half."""
    sizes = [(10, 10), (40, 40), (36, 30)]
    boxes = np.float32([(20, 20, 20 + w, 20 + h) for w, h in sizes])
    flags = np.zeros(3, bool)
    one = Sample("one", boxes, np.int32([1, 0, 1]), flags, flags, (128, 128), "one")
    retina = dataclasses.replace(config, model="retinanet-csp-tiny", image_size=(128, 128))
    found = overfit.without_anchor(retina, [one, sample("none")], ("cell", "platelet"))
    assert found == {"platelet": 1}
    lines = overfit.explain(found, 3)
    ignored = dataclasses.replace(one, difficult=np.array([True, False, False]))
    assert overfit.without_anchor(retina, [ignored], ("cell", "platelet")) == {}
    assert lines.startswith("no anchor learns 1 of the 3 objects (1 platelet)")
    assert "--anchors auto" in lines and "--force-match" in lines
    forced = dataclasses.replace(retina, force_match=True)
    assert overfit.without_anchor(forced, [one], ("cell", "platelet")) == {}
    # YOLOv4 gives every object its best anchor.
    plain = dataclasses.replace(config, image_size=(128, 128))
    assert overfit.without_anchor(plain, [one], ("cell", "platelet")) == {}
    assert overfit.without_anchor(retina, [sample("none")], ("cell",)) == {}


def test_what_may_have_kept_them_from_being_learned_is_said_what_is_sure_first(config):
    few = SimpleNamespace(train=[sample("one", 1, 0)], classes=("cell", "platelet"))
    made = model_settings
    plain = SimpleNamespace(architecture=made(config), notes={"epoch": 30})
    ran = dataclasses.replace(config, epochs=40, epochs_between_evaluations=2)
    assert train._why_not(plain, ran, few) == [train.REASONS]
    retina = dataclasses.replace(
        ran, model="retinanet-csp-tiny", head_norm="none", image_size=(64, 64)
    )
    small = SimpleNamespace(architecture=made(retina), notes={"epoch": 40})
    few.train = [dataclasses.replace(few.train[0], size=(64, 64))]  # its boxes are 9 pixels wide
    missed, slow, norm, usual = train._why_not(small, retina, few)
    assert missed.startswith("no anchor learns 2 of the 2 objects (1 platelet, 1 cell)")
    assert "still learning when its steps" in slow and "--head-norm group" in norm
    assert usual == train.REASONS
    grouped = dataclasses.replace(retina, head_norm="group", force_match=True)
    small.architecture = made(grouped)
    assert len(train._why_not(small, grouped, few)) == 2


def test_it_says_whether_they_were_learned(config, monkeypatch, capsys):
    for name, value in (("EPOCHS", 2), ("STEPS_AN_EPOCH", 1), ("LEARNED", 0.0)):
        monkeypatch.setattr(overfit, name, value)
    honest, kept = overfit.overfit, []

    def once(*args, **kwargs):
        kept[:] = kept or [honest(*args, **kwargs)]
        return kept[0]

    monkeypatch.setattr(overfit, "overfit", once)
    config = dataclasses.replace(config, eager=True)
    assert train.overfit(config, 2, Screen()) == 0
    out = capsys.readouterr().out
    assert "learned: mAP50" in out and "on 2 pictures" in out and "not learned" not in out
    monkeypatch.setattr(overfit, "LEARNED", 1.1)
    assert train.overfit(config, 2, Screen()) == 1
    out = capsys.readouterr().out
    assert "not learned: mAP50" in out and "expected 1.1" in out and "usual reasons" in out
    (folder,) = (Path(config.save_dir) / "overfit").iterdir()
    assert (folder / "plots" / "learned.jpg").is_file()
    with (folder / "results.csv").open(encoding="utf-8") as file:
        assert len(file.readlines()) in (2, 3), "a header, and an epoch or two"
