"""The numbers behind the paper's figures 1, 4 and 5, as functions of NumPy arrays.

The `plot_` functions draw them with matplotlib, where it is installed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_focal import _arguments as check

FIGURE_1_GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
FIGURE_4_GAMMAS = (0.0, 0.5, 1.0, 2.0)
FIGURE_5_SETTINGS = ((2.0, 1.0), (4.0, 0.0))


def loss_against_probability(
    p_t: ArrayLike, *, gammas: Sequence[float] = FIGURE_1_GAMMAS
) -> dict[float, np.ndarray]:
    r"""Return figure 1: the loss without balance, $-(1 - p_t)^\gamma \log p_t$.

    Args:
        p_t: probabilities of the true side, any shape, in (0, 1].
        gammas: focusing exponents; 0 is cross-entropy.

    Returns:
        For each gamma, losses of p_t's shape, float64.

    Raises:
        ValueError: a probability lies outside (0, 1], or a gamma is negative.

    Example:
        >>> curves = loss_against_probability([0.5], gammas=[0, 2])
        >>> [round(float(curves[g][0]), 6) for g in (0, 2)]
        [0.693147, 0.173287]

    Reference:
        Lin et al. 2017, figure 1.
    """
    p = np.asarray(p_t, dtype=np.float64)
    if p.size and not (np.all(p > 0) and np.all(p <= 1)):
        raise ValueError(
            f"p_t: expected probabilities in (0, 1], received {p.min():g} to {p.max():g}"
        )
    gammas = [check.number("gammas", gamma, low=0) for gamma in gammas]
    return {gamma: (1.0 - p) ** gamma * -np.log(p) for gamma in gammas}


def loss_against_logit(
    x_t: ArrayLike,
    *,
    gamma: float = 2.0,
    settings: Sequence[tuple[float, float]] = FIGURE_5_SETTINGS,
) -> dict[str, np.ndarray]:
    r"""Return figure 5: cross-entropy, FL and FL* against the logit of the true side.

    $$\mathrm{CE} = -\log p_t \qquad \mathrm{FL} = -(1 - p_t)^\gamma \log p_t \qquad
    \mathrm{FL}^* = -\frac{1}{\gamma} \log \sigma(\gamma\,x_t + \beta)$$

    Args:
        x_t: logits y * x with y = 1 or -1, any shape.
        gamma: exponent of FL.
        settings: (gamma, beta) of each FL*.

    Returns:
        Losses of x_t's shape, float64, named "CE", "FL gamma=..", "FL* gamma=.., beta=..".

    Raises:
        ValueError: a gamma is out of range.

    Example:
        >>> curves = loss_against_logit([0.0])
        >>> [(name, round(float(loss[0]), 6)) for name, loss in curves.items()][2]
        ('FL* gamma=2, beta=1', 0.156631)

    Reference:
        Lin et al. 2017, appendix A, figure 5.
    """
    x = np.asarray(x_t, dtype=np.float64)
    focal, stars = _named(gamma, settings)
    curves = {"CE": _softplus(-x), focal: np.exp(-gamma * _softplus(x)) * _softplus(-x)}
    return curves | {
        name: _softplus(-(steep * x + beta)) / steep for name, (steep, beta) in stars.items()
    }


def slope_against_logit(
    x_t: ArrayLike,
    *,
    gamma: float = 2.0,
    settings: Sequence[tuple[float, float]] = FIGURE_5_SETTINGS,
) -> dict[str, np.ndarray]:
    r"""Return the derivatives of `loss_against_logit` with respect to x_t (appendix B, y = 1).

    $$\mathrm{FL}' = (1 - p_t)^\gamma\,(\gamma\,p_t \log p_t + p_t - 1) \qquad
    \mathrm{FL}^{*\prime} = \sigma(\gamma\,x_t + \beta) - 1$$

    Args:
        x_t: as in `loss_against_logit`, and so is what is raised.
        gamma: likewise.
        settings: likewise.

    Returns:
        Derivatives of x_t's shape, float64, under the same names.

    Example:
        >>> slopes = slope_against_logit([0.0])
        >>> float(slopes["CE"][0])
        -0.5

    Reference:
        Lin et al. 2017, appendix B, figure 6.
    """
    x = np.asarray(x_t, dtype=np.float64)
    focal, stars = _named(gamma, settings)
    p, q = np.exp(-_softplus(-x)), np.exp(-_softplus(x))
    slopes = {"CE": -q, focal: -np.exp(-gamma * _softplus(x)) * (gamma * p * _softplus(-x) + q)}
    return slopes | {
        name: -np.exp(-_softplus(steep * x + beta)) for name, (steep, beta) in stars.items()
    }


def cumulative_loss(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    gammas: Sequence[float] = FIGURE_4_GAMMAS,
) -> dict[str, dict[float, tuple[np.ndarray, np.ndarray]]]:
    """Return figure 4: which share of the loss comes from which share of the samples.

    Positives and negatives are taken apart; within each, the losses for one gamma are divided by
    their sum, sorted from the easiest to the hardest, and cumulated.

    Args:
        probabilities: predicted probabilities of the foreground, any shape, in [0, 1]; those of
            0 and 1 are read as 1e-12 away from it.
        labels: 1 for foreground and 0 for background, of the same shape; other values, such as
            -1, are left out.
        gammas: focusing exponents.

    Returns:
        Under "positives" and "negatives", for each gamma, (fraction of samples, cumulative share
        of the loss), both float64 of length n + 1 from 0 to 1. Without samples both are [0].

    Raises:
        ValueError: the shapes differ, a probability lies outside [0, 1], or a gamma is negative.

    Example:
        >>> curves = cumulative_loss([0.5, 0.5, 0.9], [0, 0, 1], gammas=[0])
        >>> fraction, share = curves["negatives"][0]
        >>> share.tolist()
        [0.0, 0.5, 1.0]

    Reference:
        Lin et al. 2017, section 5.1, figure 4.
    """
    p = np.asarray(probabilities, dtype=np.float64).ravel()
    y = np.asarray(labels).ravel()
    if np.shape(probabilities) != np.shape(labels):
        raise ValueError(
            f"labels: expected the shape of the probabilities {np.shape(probabilities)}, "
            f"received {np.shape(labels)}"
        )
    if p.size and not (np.all(p >= 0) and np.all(p <= 1)):
        raise ValueError(
            f"probabilities: expected values in [0, 1], received {p.min():g} to {p.max():g}"
        )
    sides = {"positives": p[y == 1], "negatives": 1.0 - p[y == 0]}
    return {
        side: {
            gamma: _shares(losses)
            for gamma, losses in loss_against_probability(
                np.clip(p_t, 1e-12, 1.0 - 1e-12), gammas=gammas
            ).items()
        }
        for side, p_t in sides.items()
    }


def share_of_hardest(curve: tuple[np.ndarray, np.ndarray], fraction: float) -> float:
    """Return which share of the loss the hardest samples hold.

    Args:
        curve: one curve of `cumulative_loss`.
        fraction: the share of the samples, in [0, 1].

    Returns:
        A share in [0, 1].

    Example:
        >>> curves = cumulative_loss([0.5] * 10, [1] * 10, gammas=[2])
        >>> round(share_of_hardest(curves["positives"][2], 0.2), 6)
        0.2
    """
    fraction = check.number("fraction", fraction, low=0, high=1)
    samples, share = curve
    return float(1.0 - np.interp(1.0 - fraction, samples, share))


def plot_loss_against_probability(
    axes: Any = None, *, gammas: Sequence[float] = FIGURE_1_GAMMAS
) -> Any:
    """Draw figure 1 and return the axes.

    Args:
        axes: matplotlib axes; None makes new ones.
        gammas: focusing exponents.

    Raises:
        ImportError: matplotlib is not installed.
    """
    p_t = np.linspace(0.005, 1.0, 400)
    curves = loss_against_probability(p_t, gammas=gammas)
    named = {f"gamma = {gamma:g}": (p_t, loss) for gamma, loss in curves.items()}
    axes = _draw(axes, named, "probability of the true class", "loss")
    axes.set_ylim(0, 5)
    return axes


def plot_loss_against_logit(
    axes: Any = None,
    *,
    gamma: float = 2.0,
    settings: Sequence[tuple[float, float]] = FIGURE_5_SETTINGS,
) -> Any:
    """Draw figure 5; the rest is as in `plot_loss_against_probability`.

    Args:
        axes: matplotlib axes; None makes new ones.
        gamma: exponent of FL.
        settings: (gamma, beta) of each FL*.
    """
    x_t = np.linspace(-6.0, 6.0, 400)
    curves = loss_against_logit(x_t, gamma=gamma, settings=settings)
    named = {name: (x_t, loss) for name, loss in curves.items()}
    return _draw(axes, named, "x_t", "loss")


def plot_cumulative_loss(
    curves: Mapping[float, tuple[np.ndarray, np.ndarray]],
    axes: Any = None,
    *,
    side: str = "positives",
) -> Any:
    """Draw one half of figure 4; the rest is as in `plot_loss_against_probability`.

    Args:
        curves: one side of `cumulative_loss`.
        axes: matplotlib axes; None makes new ones.
        side: what the samples are, for the label of the axis.
    """
    named = {f"gamma = {gamma:g}": curve for gamma, curve in curves.items()}
    return _draw(axes, named, f"fraction of {side}", "cumulative normalised loss")


def _named(
    gamma: float, settings: Sequence[tuple[float, float]]
) -> tuple[str, dict[str, tuple[float, float]]]:
    """Return the name of FL, and (gamma, beta) of each FL* by name."""
    focal = f"FL gamma={check.number('gamma', gamma, low=0):g}"
    stars = {}
    for gamma, beta in settings:
        gamma = check.number("settings gamma", gamma, low=0, exclusive=True)
        beta = check.number("settings beta", beta)
        stars[f"FL* gamma={gamma:g}, beta={beta:g}"] = (gamma, beta)
    return focal, stars


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0.0)


def _shares(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return fractions of samples and cumulative shares of their loss, easiest first."""
    if not losses.size:
        return np.zeros(1), np.zeros(1)
    cumulative = np.concatenate([[0.0], np.cumsum(np.sort(losses))])
    return np.linspace(0.0, 1.0, losses.size + 1), cumulative / cumulative[-1]


def _draw(
    axes: Any, curves: Mapping[Any, tuple[np.ndarray, np.ndarray]], x_label: str, y_label: str
) -> Any:
    """Draw named curves (x, y) into axes."""
    if axes is None:
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "plots need matplotlib, which is not installed: pip install matplotlib"
            ) from error
        axes = Figure(figsize=(5, 4), layout="constrained").add_subplot()
    for name, (x, y) in curves.items():
        axes.plot(x, y, label=name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend()
    return axes
