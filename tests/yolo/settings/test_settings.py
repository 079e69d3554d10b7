"""Settings: each explained, each checked, through TOML and back."""

import math
from dataclasses import fields, replace

import pytest

from yolo.errors import ConfigError
from yolo.models.names import ZOO, kind_of
from yolo.models.retinanet.settings import RetinaNetConfig, RetinaNetLoss
from yolo.models.yolov4.settings import LOSS_SCALINGS, YOLOv4Config, YOLOv4Loss
from yolo.settings import train
from yolo.settings.augmentation import AugmentConfig
from yolo.settings.detector import model_settings
from yolo.settings.toml import check_key, read_toml, write_toml
from yolo.settings.train import TrainConfig


def refused(**changes):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(**changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("field", fields(TrainConfig), ids=lambda field: field.name)
def test_every_setting_has_a_group_and_an_explanation(field):
    assert field.metadata["group"] in (
        "data", "model", "retinanet", "augmentation", "loss", "schedule", "optimizer", "run",
    )  # fmt: skip
    text = field.metadata["help"]
    assert len(text) > 8 and text == text.strip() and not text.endswith(".")


def test_settings_shared_with_the_augmentation_have_its_defaults():
    assert train.augmentation(TrainConfig()) == AugmentConfig()
    assert train.augmentation(TrainConfig(mosaic=0.1, hue=0.0)) == AugmentConfig(
        mosaic=0.1, hue=0.0
    )


def test_loss_settings_follow_the_loss():
    assert train.loss_settings(TrainConfig()) == YOLOv4Loss()
    focal = train.loss_settings(TrainConfig(loss="focal"))
    assert focal == YOLOv4Loss(**LOSS_SCALINGS["focal"])
    assert focal.confidence_normalizer == "positives"


def test_a_scaling_by_name_wins_over_the_loss_and_a_setting_over_both():
    config = TrainConfig(loss="focal", loss_scaling="tutorial", positive_iou=0.3, iou="giou")
    found = train.loss_settings(config)
    assert found == replace(YOLOv4Loss(**LOSS_SCALINGS["tutorial"]), positive_iou=0.3, iou="giou")


def test_a_cfgs_loss_stands_between_the_scaling_and_what_is_asked_for():
    network = YOLOv4Config(
        "darknet", ((9, 9),), ((0,),), strides=(32,),
        cfg_loss={"iou": "mse", "ignore_iou": 0.7, "location_weight": 2.0, "class_focal": True},
    )  # fmt: skip
    config = TrainConfig(loss="focal", ignore_iou=0.6)
    assert train.loss_settings(config, network) == YOLOv4Loss(
        **LOSS_SCALINGS["focal"], iou="mse", ignore_iou=0.6, location_weight=2.0, class_focal=True
    )
    assert train.loss_settings(replace(config, iou="diou"), network).iou == "diou"


@pytest.mark.parametrize(
    "name, value",
    [
        ("mosaic", 1.5), ("mosaic", -0.1), ("hue", 0.6), ("epochs", 0), ("batch_size", -1),
        ("freeze_epochs", -1), ("freeze_batch_size", 0), ("accumulate", 0), ("ema", 1.1),
        ("momentum", 1.0), ("weight_decay", -1e-9), ("clip_norm", -1), ("learning_rate", 0.0),
        ("learning_rate", -0.1), ("learning_rate", math.nan), ("min_learning_rate_ratio", 2),
        ("init_epoch", 100), ("init_epoch", -1), ("seed", -1), ("patience", -1),
        ("prior", 0.0), ("prior", 1.0), ("positive_iou", 1.2), ("loss_options", "gamma"),
        ("loss_options", "gamma=1 gamma=2"), ("label_smoothing", math.inf), ("save_period", -2),
        ("scale", (0.0, 1.0)), ("scale", (1.5, 0.6)), ("scale", (1.0,)), ("scale", (1, math.inf)),
        ("image_size", (100, 100)), ("image_size", (64,)), ("image_size", ()),
        ("image_size", (0, 64)), ("model", "yolov9"), ("loss", "hubert"), ("iou", "wiou"),
        ("optimizer", "lion"), ("lr_decay", "linear"), ("precision", "float8"),
        ("resize", "crop"), ("attention", "phi5"),
    ],
)  # fmt: skip
def test_a_value_that_no_run_can_have_is_refused_by_name(name, value):
    assert name in refused(**{name: value})


def test_limits_themselves_are_allowed():
    TrainConfig(mosaic=1, hue=0.5, epochs=1, batch_size=1, momentum=0, ema=0, init_epoch=0,
                label_smoothing=1, positive_iou=1, scale=(1, 1), image_size=(32, 32))  # fmt: skip


def test_whole_numbers_serve_where_numbers_are_wanted():
    config = TrainConfig(momentum=0, learning_rate=1, image_size=(64.0, 96.0))
    assert [type(config.momentum), type(config.learning_rate)] == [float, float]
    assert config.image_size == (64, 96) and type(config.image_size[0]) is int


def test_a_size_that_is_no_multiple_gets_the_nearest_proposed():
    assert "not [100, 420]; try 96x416" in refused(image_size=(100, 420))
    assert refused(image_size=(10, 10)).endswith("try 32x32")


@pytest.mark.parametrize("name", ZOO)
def test_every_model_of_the_zoo_is_offered_with_its_usual_loss(name):
    config = TrainConfig(model=name)
    of_retinanet = name.startswith("retinanet")
    expected = ("retinanet", "focal") if of_retinanet else ("yolov4", "cross-entropy")
    assert (config.family, config.loss) == expected
    assert isinstance(model_settings(config), kind_of(name))


RANGE, OUTSIDE = ("choices", "within", "above", "below", "step"), (-1, 1e9)
SHARED = [
    (kind, field)
    for kind in (AugmentConfig, YOLOv4Config, YOLOv4Loss, RetinaNetConfig, RetinaNetLoss)
    for field in fields(kind)
    if field.name in vars(TrainConfig()) and field.name not in ("anchors", "masks")
]


@pytest.mark.parametrize("kind, field", SHARED, ids=lambda one: getattr(one, "name", None))
def test_a_setting_that_a_run_shares_has_one_range_and_one_default(kind, field):
    (offered,) = (one for one in fields(TrainConfig) if one.name == field.name)
    assert offered.default in (field.default, None)
    own = {key: field.metadata[key] for key in RANGE if key in field.metadata}
    assert own == {key: offered.metadata[key] for key in RANGE if key in offered.metadata}
    assert offered.type.removesuffix(" | None") == field.type
    for value in OUTSIDE:
        if "within" in own and not own["within"][0] <= value <= own["within"][1]:
            with pytest.raises(ConfigError, match=f"{field.name} (lies|is a whole)"):
                kind(**{field.name: value})


def test_choices_are_named():
    assert "did you mean 'huber'" in refused(loss="hubert")
    assert refused(optimizer="adamv").endswith("not 'adamv'; did you mean 'adam'?")


# ---------------------------------------------------------------------------------- TOML


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding=encoding)
    return path


def fault(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(data='C:\\data\\"my set"', name="行人检测", classes="类别.txt"),
        TrainConfig(data="tab\tline\nend\x7f\x00", masks="0,1,2/3,4,5"),
        TrainConfig(image_size=(320, 416), scale=(0.5, 2), multi_scale=True, eager=True),
        TrainConfig(learning_rate=1e-5, weight_decay=0, clip_norm=1e9, positive_iou=0.3),
        TrainConfig(freeze_epochs=3, freeze_batch_size=16, gpus="0,1", seed=2**31 - 1),
    ],
)
def test_toml_round_trip(tmp_path, config):
    assert TrainConfig(**read_toml(written(tmp_path, write_toml(config)))) == config


def test_what_is_not_set_is_a_comment_that_says_what_happens_then():
    text = write_toml(TrainConfig())
    assert "\n# learning_rate: 0.01 for sgd, 0.001 for adam and adamw\n" in text
    assert "\n# freeze_batch_size: --batch-size\n" in text


def test_a_byte_order_mark_is_understood(tmp_path):
    path = written(tmp_path, 'name = "猫"\n', encoding="utf-8-sig")
    assert read_toml(path) == {"name": "猫"}


@pytest.mark.parametrize(
    "key, near",
    [("epoch", "epochs"), ("learningrate", "learning_rate"), ("batch-size", "batch_size")],
)
def test_the_nearest_name_is_proposed(tmp_path, key, near):
    message = fault(tmp_path, f"{key} = 3\n")
    assert message.endswith(f"there is no setting {key!r}; did you mean {near!r}?")


def test_a_name_near_to_nothing_points_to_the_list():
    with pytest.raises(ConfigError, match=r"no setting 'xyz'; see train.py --help"):
        check_key("xyz")


@pytest.mark.parametrize(
    "line, words",
    [
        ('epochs = "3"', "epochs is a whole number, not '3'"),
        ("epochs = 3.0", "epochs is a whole number, not 3.0"),
        ("epochs = true", "epochs is a whole number, not True"),
        ("mosaic = false", "mosaic is a number, not False"),
        ("eager = 1", "eager is true or false, not 1"),
        ("data = 2007", "data is text in quotes"),
        ("image_size = 416", "image_size is a list of two numbers"),
        ("image_size = [416]", "image_size is a list of two numbers"),
        ('scale = ["a", "b"]', "scale is a list of two numbers"),
        ("[loss]\ngamma = 2", "loss is text in quotes"),
    ],
)
def test_a_wrong_type_is_named_in_words(tmp_path, line, words):
    assert words in fault(tmp_path, line + "\n")


def test_a_key_given_twice(tmp_path):
    text = "epochs = 3\nseed = 1\nepochs = 4\n"
    assert fault(tmp_path, text).endswith("settings.toml: epochs is given 2 times")


@pytest.mark.parametrize("line", ["mosaic = nan", "scale = [0.5, inf]", "hue = -inf"])
def test_numbers_that_are_none_are_out_of_range(tmp_path, line):
    with pytest.raises(ConfigError, match=f"{line.split()[0]} "):
        TrainConfig(**read_toml(written(tmp_path, line + "\n")))


def test_no_toml_at_all(tmp_path):
    assert "not a TOML file" in fault(tmp_path, "epochs: 3\n")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_toml(path)
    with pytest.raises(ConfigError, match="cannot read the settings"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot read the settings"):
        read_toml(tmp_path)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"epochs": "10"}, "epochs is a whole number, not '10'"),
        ({"epochs": 2.5}, "epochs is a whole number, not 2.5"),
        ({"batch_size": "auto"}, "batch_size is a whole number, not 'auto'"),
        ({"mosaic": "0.5"}, "mosaic is a number, not '0.5'"),
        ({"multi_scale": "no"}, "multi_scale is True or False, not 'no'"),
        ({"scale": 0.5}, "scale is several values"),
        ({"scale": ("a", "b")}, "scale is LOW,HIGH"),
        ({"classes": ["cat", "dog"]}, "classes is text, not ['cat', 'dog']: file with one class"),
        ({"anchors": [(10, 14)]}, "anchors is text, not [(10, 14)]"),
        ({"image_size": "416x416"}, "image_size needs height and width in multiples of 32"),
        ({"image_size": (None, None)}, "image_size needs height and width in multiples of 32"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_words(changes, words):
    assert words in refused(**changes)


def test_one_number_stands_for_both_sides_of_a_picture():
    assert TrainConfig(image_size=320).image_size == (320, 320)
