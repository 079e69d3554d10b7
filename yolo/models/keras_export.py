"""The ways out of Keras and TensorFlow themselves, for a model whose maps are keyed by stride."""

from __future__ import annotations

from typing import NoReturn

import keras

from yolo.models.layers import for_other_machines


class KerasExport(keras.Model):
    """A model that Keras exports by its `inference_model()`."""

    def export(self, filepath, **kwargs):
        """Write what `predict_raw` computes by Keras's own export: a SavedModel, or ONNX, LiteRT.

        `python -m yolo export` adds suppression, names and thresholds, and compares the file.
        """
        with for_other_machines():
            self.inference_model().export(filepath, **kwargs)

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        if save_type == "savedmodel":
            refuse_export()
        return super()._trackable_children(save_type, **kwargs)


def refuse_export(*args, **kwargs) -> NoReturn:
    """Say what does instead.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        "maps keyed by stride have no place in a SavedModel; write detector.export(folder), or "
        "python -m yolo export for a file with suppression and names"
    )
