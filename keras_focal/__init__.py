"""Focal loss and its relatives for Keras 3, on TensorFlow, JAX and PyTorch.

Reference:
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017
    (arXiv:1708.02002).
"""

from keras_focal._base import ElementLoss
from keras_focal.functional import (
    focal_loss_star,
    quality_focal_loss,
    sigmoid_focal_loss,
    softmax_focal_loss,
    sparse_sigmoid_focal_loss,
    varifocal_loss,
)
from keras_focal.initializers import PriorProbability
from keras_focal.layers import FocalLossLayer
from keras_focal.losses import (
    BalancedCrossEntropy,
    CategoricalFocalLoss,
    FocalLoss,
    FocalLossStar,
    QualityFocalLoss,
    SparseCategoricalFocalLoss,
    VarifocalLoss,
)
from keras_focal.mining import OnlineHardExampleMining

__version__ = "0.1.0"

__all__ = [
    "BalancedCrossEntropy",
    "CategoricalFocalLoss",
    "ElementLoss",
    "FocalLoss",
    "FocalLossLayer",
    "FocalLossStar",
    "OnlineHardExampleMining",
    "PriorProbability",
    "QualityFocalLoss",
    "SparseCategoricalFocalLoss",
    "VarifocalLoss",
    "__version__",
    "focal_loss_star",
    "quality_focal_loss",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "sparse_sigmoid_focal_loss",
    "varifocal_loss",
]
