"""The arguments of the losses, their signatures and configs."""

import inspect
import json

import keras
import numpy as np
import pytest
from kinds import SIGMOID, SOFTMAX, labels_for

import keras_focal as kf

CONFIGURED = [
    kf.FocalLoss(
        alpha=[0.1, 0.2, 0.3],
        gamma=1.5,
        from_logits=True,
        label_smoothing=0.1,
        ignore_label=-1,
        reduction="sum",
        name="a",
    ),
    kf.FocalLoss(alpha=None),
    kf.FocalLossStar(alpha=0.3, gamma=4, beta=0.5, label_smoothing=0.1, ignore_label=-1),
    kf.BalancedCrossEntropy(alpha=0.6, label_smoothing=0.1, ignore_label=-1),
    kf.CategoricalFocalLoss(alpha=[1, 2, 3], gamma=1, label_smoothing=0.1),
    kf.SparseCategoricalFocalLoss(alpha=2, ignore_label=255, label_smoothing=0.2),
    kf.QualityFocalLoss(beta=1.5),
    kf.VarifocalLoss(alpha=0.5, gamma=1.5),
    kf.OnlineHardExampleMining(
        kf.FocalLoss(gamma=1, from_logits=True), hardest=7, negatives_per_positive=3, nms_iou=0.5
    ),
    kf.OnlineHardExampleMining(hardest=2),
]


@pytest.mark.parametrize("loss", CONFIGURED, ids=lambda loss: type(loss).__name__)
def test_config_round_trip(loss):
    config = json.loads(json.dumps(loss.get_config()))
    again = type(loss).from_config(config)
    assert json.dumps(again.get_config()) == json.dumps(loss.get_config())
    assert {"reduction", "name", "dtype", "from_logits"} <= set(config)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is type(loss)
    # what a detector does: the same loss, for logits, element by element
    rebuilt = type(loss).from_config({**config, "from_logits": True, "reduction": "none"})
    assert rebuilt.from_logits


@pytest.mark.parametrize("loss", CONFIGURED, ids=lambda loss: type(loss).__name__)
def test_saved_model_brings_its_loss_back(loss, tmp_path):
    loss = type(loss).from_config(loss.get_config())
    activation = "softmax" if type(loss) in SOFTMAX else "sigmoid"
    if loss.from_logits:
        activation = None
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=activation)])
    # A graph for one step takes longer than the step; JAX takes longest step by step.
    model.compile("sgd", loss=loss, run_eagerly=keras.backend.backend() != "jax")
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    y = labels_for(loss, 6, 3)
    model.fit(x, y, epochs=1, verbose=0)
    before = model.evaluate(x, y, verbose=0)
    assert np.isfinite(before)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.loss) is type(loss)
    assert json.dumps(again.loss.get_config()) == json.dumps(loss.get_config())
    assert again.evaluate(x, y, verbose=0) == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: kf.FocalLoss(gamma=-0.5), ValueError, "gamma.*-0.5"),
        (lambda: kf.FocalLoss(gamma=None), TypeError, "gamma.*None"),
        (lambda: kf.FocalLoss(alpha=2), ValueError, "alpha.*2"),
        (lambda: kf.FocalLoss(alpha="balanced"), TypeError, "alpha.*balanced"),
        (lambda: kf.FocalLoss(alpha=[0.1, 3]), ValueError, r"alpha\[1\].*3"),
        (lambda: kf.FocalLoss(alpha=[]), ValueError, "alpha.*empty"),
        (lambda: kf.FocalLoss(from_logits=1), TypeError, "from_logits.*1"),
        (lambda: kf.FocalLoss(label_smoothing=1.5), ValueError, "label_smoothing.*1.5"),
        (lambda: kf.FocalLoss(ignore_label=0.5), TypeError, "ignore_label.*0.5"),
        (lambda: kf.FocalLoss(reduction="avg"), ValueError, "reduction.*avg"),
        (lambda: kf.FocalLossStar(gamma=0), ValueError, "gamma.*0"),
        (lambda: kf.CategoricalFocalLoss(alpha=-1), ValueError, "alpha.*-1"),
        (lambda: kf.VarifocalLoss(gamma=-1), ValueError, "gamma.*-1"),
        (lambda: kf.QualityFocalLoss(beta="x"), TypeError, "beta.*'x'"),
        (lambda: kf.OnlineHardExampleMining(hardest=0), ValueError, "hardest.*0"),
        (lambda: kf.OnlineHardExampleMining("mse"), TypeError, "loss.*'mse'"),
        (lambda: kf.OnlineHardExampleMining(nms_iou=2), ValueError, "nms_iou.*2"),
        (lambda: kf.PriorProbability(0), ValueError, "pi.*0"),
        (lambda: kf.PriorProbability(1.0), ValueError, "pi.*1.0"),
        (lambda: kf.FocalLossLayer(reduction="none"), ValueError, "reduction.*none"),
    ],
)
def test_wrong_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words) as caught:
        make()
    assert "xpected" in str(caught.value)
    assert "eceived" in str(caught.value)


COMMON = ["from_logits", "reduction", "name", "dtype"]
LABELLED = ["label_smoothing", "ignore_label", *COMMON]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (kf.FocalLoss, ["alpha", "gamma", *LABELLED]),
        (kf.FocalLossStar, ["alpha", "gamma", "beta", *LABELLED]),
        (kf.BalancedCrossEntropy, ["alpha", *LABELLED]),
        (kf.QualityFocalLoss, ["beta", *COMMON]),
        (kf.VarifocalLoss, ["alpha", "gamma", *COMMON]),
        (kf.CategoricalFocalLoss, ["alpha", "gamma", "label_smoothing", *COMMON]),
        (kf.SparseCategoricalFocalLoss, ["alpha", "gamma", *LABELLED]),
    ],
)
def test_a_signature_names_every_argument_with_its_default(kind, names):
    parameters = inspect.signature(kind).parameters
    assert sorted(parameters) == sorted(names)
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    shown = {name: p.default for name, p in parameters.items() if name != "dtype"}
    assert kind(**shown).get_config() == kind().get_config() == {**shown, "dtype": "float32"}


@pytest.mark.parametrize("kind", SIGMOID + SOFTMAX)
def test_an_unknown_argument_is_refused_with_the_known_ones(kind):
    with pytest.raises(TypeError, match=f"{kind.__name__}: expected .*reduction.*received gama"):
        kind(gama=2.0)


@pytest.mark.parametrize("kind", [kf.QualityFocalLoss, kf.VarifocalLoss])
def test_qualities_are_neither_smoothed_nor_ignored(kind):
    for name in ("label_smoothing", "ignore_label"):
        with pytest.raises(TypeError, match=name):
            kind(**{name: 0})


class Scaled(kf.FocalLoss):
    """What a user may derive: an argument of its own, kept under another name."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self._scale = scale

    def get_config(self):
        return {**super().get_config(), "scale": self._scale}


def test_a_derived_loss_keeps_its_signature_and_config():
    assert list(inspect.signature(Scaled).parameters) == ["scale", "kwargs"]
    config = Scaled(3.0, gamma=1.0).get_config()
    assert config == {**kf.FocalLoss(gamma=1.0).get_config(), "scale": 3.0}
    assert Scaled.from_config(config).get_config() == config


def test_alpha_and_gamma_are_keyword_only():
    with pytest.raises(TypeError):
        kf.FocalLoss(0.25, 2.0)
