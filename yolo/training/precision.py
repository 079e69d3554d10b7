"""Which number format to compute in on this machine."""

from __future__ import annotations

import keras
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.eager import context

from yolo.system import processor


def choose_precision(setting: str) -> str:
    """Return the Keras dtype policy that `--precision`, "auto" or the name of one, stands for.

    "auto" is `mixed_bfloat16` where the hardware multiplies bfloat16 natively (a GPU from
    compute capability 8.0, a processor with AMX or AVX512-BF16) and `float32` elsewhere.
    """
    if setting != "auto":
        return setting
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    else:
        fast = not {"amx_bf16", "avx512_bf16"}.isdisjoint(processor.flags())
    return "mixed_bfloat16" if fast else "float32"


def make_repeatable(seed: int) -> None:
    """Seed all random numbers and, without a GPU, let TensorFlow add in a fixed order."""
    keras.utils.set_random_seed(seed)
    if not tf.config.get_visible_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
        _keep_sums_in_order()


def _keep_sums_in_order() -> None:
    """Keep TensorFlow from adding gradients in the order in which they happen to be ready.

    In a graph that it takes for larger than 0.8 of a processor's "memory", for which 256 MB are
    noted, Grappler's memory optimizer makes of a sum of three or more tensors a variable to which
    each is added as it comes (`SchedulingPass` in
    tensorflow/core/grappler/optimizers/memory_optimizer.cc); `enable_op_determinism` leaves it
    on, and `tf.config.optimizer` has no name for it.
    """
    here = context.context()
    config = here._config or config_pb2.ConfigProto()
    off = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    config.graph_options.rewrite_options.memory_optimization = off
    here._config = config
    # Functions called from now on ask again for the settings.
    tf.config.optimizer.set_experimental_options({})
