"""Sums over all devices that share a batch, so that a loss does not depend on their number."""

from __future__ import annotations

import keras


def sum_over_replicas(value):
    """Return the sum of a scalar over all replicas; itself where there is only one.

    A loss divided by a count of its own replica's objects weighs pictures differently on each
    device; divided by the global count it equals the loss of one device on the whole batch.
    """
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def num_replicas() -> int:
    """Return how many devices share the batch."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
