"""Checks of hyper-parameters and shapes: what was received, what is expected.

Those of hyper-parameters take the argument's name, for the message, and what the caller gave. They
return it as a type of Python's own, and raise TypeError for another type and ValueError for a
value out of range.
"""

import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np


def number(
    name: str,
    value: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    exclusive: bool = False,
) -> float:
    """Return a finite number within [low, high], or within (low, high) where `exclusive`."""
    left, right = ("(", ")") if exclusive else ("[", "]")
    expected = f"a number in {left}{low:g}, {high:g}{right}"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected {expected}, received {value!r}")
    result = float(value)
    inside = low < result < high if exclusive else low <= result <= high
    if not math.isfinite(result) or not inside:
        raise ValueError(f"{name}: expected {expected}, received {value!r}")
    return result


def integer(name: str, value: object, *, low: float = -math.inf) -> int:
    """Return an integer of at least `low`."""
    expected = "an integer" if low == -math.inf else f"an integer of at least {low:g}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name}: expected {expected}, received {value!r}")
    if value < low:
        raise ValueError(f"{name}: expected {expected}, received {value!r}")
    return int(value)


def flag(name: str, value: object) -> bool:
    """Return a truth value, refusing numbers that land in its place by mistake."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, received {value!r}")
    return bool(value)


def ignored(value: object) -> int | None:
    """Return an `ignore_label`: None or an integer."""
    return None if value is None else integer("ignore_label", value)


def balance(value: object, *, high: float = 1.0) -> float | tuple[float, ...] | None:
    """Return a class balance `alpha`: None, or one number in [0, high], or one per class."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        if not value:
            raise ValueError("alpha: expected one number per class, received an empty sequence")
        return tuple(number(f"alpha[{i}]", v, low=0, high=high) for i, v in enumerate(value))
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"alpha: expected None, a number or one number per class, received {value!r}"
        )
    return number("alpha", value, low=0, high=high)


def per_class(name: str, value: object, classes: int | None) -> None:
    """Refuse a tuple that has not one number for each class; None classes are not known yet."""
    if isinstance(value, tuple) and classes is not None and len(value) != classes:
        raise ValueError(
            f"{name}: expected one number for each of the {classes} classes of the last axis, "
            f"received {len(value)}"
        )


def same_shape(y_true: tuple, y_pred: tuple) -> None:
    """Refuse labels that do not lie element by element on the predictions, by their static shapes.

    Raises:
        ValueError: the shapes differ.
    """
    if not _fits(y_true, y_pred, ()):
        classes = ""
        if len(y_true) == len(y_pred) and y_true[-1] == 1:
            classes = (
                f"; class numbers become labels by keras.ops.one_hot(y_true[..., 0], {y_pred[-1]})"
            )
        raise _other_shape(y_true, y_pred, classes)


def repeatable(y_true: tuple, y_pred: tuple) -> None:
    """Refuse integers, one for each row, whose static shape is not that of the rows.

    Raises:
        ValueError: the ranks differ, or an axis has neither the rows' length nor length 1.
    """
    if not _fits(y_true, y_pred, (1,)):
        raise _other_shape(y_true, y_pred, "")


def _fits(y_true: tuple, y_pred: tuple, also: tuple) -> bool:
    return len(y_true) == len(y_pred) and all(
        a in (b, None, *also) or b is None for a, b in zip(y_true, y_pred, strict=True)
    )


def _other_shape(y_true: tuple, y_pred: tuple, hint: str) -> ValueError:
    return ValueError(
        f"y_true: expected the shape of the predictions {tuple(y_pred)}, "
        f"received {tuple(y_true)}{hint}"
    )
