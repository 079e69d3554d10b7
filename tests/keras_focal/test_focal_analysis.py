import sys

import numpy as np
import pytest
from gradients import numpy64, value_and_grad

from keras_focal import analysis, focal_loss_star, sigmoid_focal_loss


def test_figure_1_is_the_loss_of_the_package():
    p = np.linspace(0.05, 0.95, 19)
    z = (np.log(p) - np.log1p(-p)).astype("float32")
    for gamma, curve in analysis.loss_against_probability(p).items():
        ours = numpy64(sigmoid_focal_loss(np.ones(19), z, alpha=None, gamma=gamma))
        np.testing.assert_allclose(curve, ours, rtol=1e-5)
    assert analysis.loss_against_probability([1.0])[2.0] == [0]


def test_figure_1_well_classified_claim():
    """With gamma 2, p_t = 0.9 costs 100 times less than with cross-entropy, 0.968 1000 times."""
    curves = analysis.loss_against_probability([0.9, 0.968], gammas=[0, 2])
    np.testing.assert_allclose(curves[0] / curves[2], [100, 1000], rtol=0.03)


def test_figure_5_and_its_slopes_are_those_of_the_package():
    x = np.linspace(-5, 5, 21)
    losses, slopes = analysis.loss_against_logit(x), analysis.slope_against_logit(x)
    assert list(losses) == list(slopes)
    assert list(losses)[1:] == ["FL gamma=2", "FL* gamma=2, beta=1", "FL* gamma=4, beta=0"]
    ones = np.ones(21)
    functions = [
        lambda z: sigmoid_focal_loss(ones, z, alpha=None, gamma=0),
        lambda z: sigmoid_focal_loss(ones, z, alpha=None),
        lambda z: focal_loss_star(ones, z, alpha=None),
        lambda z: focal_loss_star(ones, z, alpha=None, gamma=4, beta=0),
    ]
    for name, function in zip(losses, functions, strict=True):
        value, slope = value_and_grad(function, x)
        np.testing.assert_allclose(losses[name], value, rtol=1e-5)
        np.testing.assert_allclose(slopes[name], slope, rtol=1e-5)


def test_figure_4_by_hand():
    p = np.array([0.5, 0.25, 0.5, 0.5, 0.9])
    labels = np.array([1, 1, 0, -1, 1])
    curves = analysis.cumulative_loss(p, labels, gammas=[0])
    fraction, share = curves["positives"][0]
    losses = -np.log([0.9, 0.5, 0.25])
    np.testing.assert_allclose(fraction, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(share, np.append(0, np.cumsum(losses)) / losses.sum())
    assert curves["negatives"][0][1].tolist() == [0, 1]


def test_figure_4_more_focus_puts_more_weight_on_the_hardest_negatives():
    p = 1 / (1 + np.exp(-np.random.default_rng(0).normal(-5, 2, 20000)))
    curves = analysis.cumulative_loss(p, np.zeros(20000))["negatives"]
    shares = [analysis.share_of_hardest(curves[gamma], 0.05) for gamma in (0, 0.5, 1, 2)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.9
    for fraction, share in curves.values():
        assert (np.diff(share) >= 0).all()
        assert share[-1] == pytest.approx(1)
        assert (share <= fraction + 1e-9).all()


def test_figure_4_without_samples_and_at_the_ends():
    curves = analysis.cumulative_loss([], [])
    assert curves["positives"][2][0].tolist() == [0]
    sure = analysis.cumulative_loss([0.0, 1.0], [1, 1])["positives"]
    assert all(np.isfinite(share).all() for _, share in sure.values())


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="labels.*expected.*received"):
        analysis.cumulative_loss([0.5], [1, 0])
    with pytest.raises(ValueError, match="probabilities.*received 0.5 to 1.5"):
        analysis.cumulative_loss([0.5, 1.5], [1, 0])
    with pytest.raises(ValueError, match="p_t"):
        analysis.loss_against_probability([0.0])


def test_plots():
    pytest.importorskip("matplotlib")
    curves = analysis.cumulative_loss([0.5, 0.6, 0.1], [1, 1, 0])
    for axes, lines in (
        (analysis.plot_loss_against_probability(), 5),
        (analysis.plot_loss_against_logit(), 4),
        (analysis.plot_cumulative_loss(curves["negatives"], side="negatives"), 4),
    ):
        assert len(axes.lines) == lines
        assert axes.get_legend() is not None
    again = analysis.plot_loss_against_logit(axes)
    assert again is axes


def test_plots_without_matplotlib_name_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        analysis.plot_loss_against_probability()
