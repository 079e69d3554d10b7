"""The losses that a run names: each works element by element, and takes its own parameters."""

import re

import pytest

from yolo.errors import ConfigError
from yolo.models.anchor_loss import NAMED_LOSSES, AnchorLoss, named
from yolo.models.loss_names import SCALING_OF, as_text, parameters_from
from yolo.settings.train import TrainConfig


def test_every_name_has_a_class_and_a_scaling():
    assert set(SCALING_OF) == set(NAMED_LOSSES)


@pytest.mark.parametrize("name", NAMED_LOSSES)
def test_every_named_loss_works_element_by_element(name):
    for outputs in (1, 3):
        assert named(name, {}, outputs) is not None
    if SCALING_OF[name] != "mining":
        assert AnchorLoss(named(name, {})).loss.reduction in (None, "none")


def test_parameters_reach_the_loss():
    loss = named("focal", parameters_from("gamma=1.5 alpha=none label_smoothing=0.1"))
    assert (loss.gamma, loss.alpha, loss.label_smoothing) == (1.5, None, 0.1)
    assert named("ohem", parameters_from("hardest=7 nms_iou=0.5")).hardest == 7
    assert named("binary_crossentropy", {"label_smoothing": 0.2}).get_config()["label_smoothing"]


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("focal", "gama=2", "focal has no parameter 'gama'; it has alpha, gamma, label_smoothing"),
        ("poisson", "gamma=2", "poisson has no parameter 'gamma'; it has none"),
        ("focal", "gamma=-1", "--loss-options gamma=-1: focal refuses that"),
        ("focal", "alpha=0.1,0.2", "--loss-options alpha=[0.1, 0.2]: focal refuses that"),
    ],
)
def test_what_a_loss_has_not_is_refused_in_a_line(name, text, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        named(name, parameters_from(text), 3)
    assert "\n" not in str(caught.value)


def test_parameters_are_given_as_text_words_or_a_mapping():
    for given in ("gamma=2 alpha=0.5", ["gamma=2", "alpha=0.5"], {"gamma": 2, "alpha": 0.5}):
        assert TrainConfig(loss="focal", loss_options=given).loss_options == "gamma=2 alpha=0.5"
    assert as_text({"alpha": [0.1, 0.2]}) == "alpha=0.1,0.2"
    assert as_text({}) is None and parameters_from(None) == {}
    with pytest.raises(ConfigError, match="different names with values"):
        parameters_from("gamma 2")
