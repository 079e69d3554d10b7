"""The losses by what they take, and labels for them."""

import numpy as np

import keras_focal as kf

SIGMOID = [
    kf.FocalLoss,
    kf.FocalLossStar,
    kf.BalancedCrossEntropy,
    kf.QualityFocalLoss,
    kf.VarifocalLoss,
]
INTEGER = SIGMOID[:3]
SOFTMAX = [kf.CategoricalFocalLoss, kf.SparseCategoricalFocalLoss]


def labels_for(loss, rows, classes):
    """Return a class for each row, as a loss takes it."""
    if isinstance(loss, kf.SparseCategoricalFocalLoss):
        return np.arange(rows) % classes
    return np.eye(classes, dtype="float32")[np.arange(rows) % classes]
