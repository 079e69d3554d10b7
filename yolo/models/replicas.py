"""Several devices that share a batch: sums over them, and one step of `fit` on all of them."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import keras

# Whether the replica that this thread computes has pictures in the batch: a boolean tensor, or
# missing where all have.
_here = threading.local()


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
    return context.all_reduce(tf.distribute.ReduceOp.SUM, counted(value))


def counted(value):
    """Return a replica's tensor, zeros where the replica has no picture in the batch.

    The kernels do not take batches without pictures. Such a replica, at the end of an epoch, goes
    through the motions with a black picture that counts nothing in any sum.
    """
    has_pictures = getattr(_here, "has_pictures", None)
    if has_pictures is None:
        return value
    return keras.ops.where(has_pictures, value, keras.ops.zeros_like(value))


@contextlib.contextmanager
def _has_pictures(value):
    _here.has_pictures = value
    try:
        yield
    finally:
        del _here.has_pictures


def num_replicas() -> int:
    """Return how many devices share the batch."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def mean_over_replicas(value):
    """Return the mean of a scalar over all replicas; itself where there is only one."""
    return sum_over_replicas(value) / num_replicas()


class ReplicatedModel(keras.Model):
    """A model whose `fit` and `evaluate` also run on several replicas and several machines.

    It must be built at birth and take batches of two parts, images and truth. On one device
    nothing changes. On several, Keras's own step weighs unequal shares of a batch wrongly in the
    epoch's loss, and on several machines it fails: it averages a batch over them, and it
    concatenates scalars (https://github.com/keras-team/keras/issues/20585). Here every replica
    takes its step, and the figures are read from the metrics, which know all replicas.
    """

    train_function: Any
    test_function: Any

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Spare Keras's trial with a batch: the model has all its weights."""

    def make_train_function(self, force=False):
        """Create what `fit` calls for each batch."""
        # TensorFlow traces a graph that makes variables twice.
        if keras.backend.backend() == "tensorflow" and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        if num_replicas_of(self) == 1:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = self._on_every_replica(self._train_replica)
        return self.train_function

    def make_test_function(self, force=False):
        """Create what `evaluate` calls for each batch."""
        if num_replicas_of(self) == 1:
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = self._on_every_replica(self._test_replica)
        return self.test_function

    def _on_every_replica(self, step):
        import tensorflow as tf

        strategy = self.distribute_strategy

        @tf.autograph.experimental.do_not_convert
        def on_every_replica(batches):
            found = strategy.run(step, args=(next(batches),))
            # Of this machine's first replica: a figure for the moment, without any traffic.
            return {k: strategy.experimental_local_results(v)[0] for k, v in found.items()}

        if self.run_eagerly:
            return on_every_replica
        return tf.function(on_every_replica, reduce_retracing=True)

    def _train_replica(self, batch):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self.optimizer.scale_loss(self._noted_loss(*batch, training=True))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return self.get_metrics_result()

    def _test_replica(self, batch):
        self._noted_loss(*batch, training=False)
        return self.get_metrics_result()

    def _noted_loss(self, images, truth, *, training):
        """Return this replica's share of the loss of a batch, and note it."""
        import tensorflow as tf

        some = None
        if not images.shape[0]:  # nobody knows before, or indeed none
            some = tf.shape(images)[0] > 0
            more = tf.where(some, 0, 1)
            images = tf.pad(images, [[0, more], [0, 0], [0, 0], [0, 0]])
            truth = {
                "boxes": tf.pad(truth["boxes"], [[0, more], [0, 0], [0, 0]]),
                "classes": tf.pad(truth["classes"], [[0, more], [0, 0]], constant_values=-1),
            }
        with _has_pictures(some):
            outputs = self(images, training=training)
            loss = self.compute_loss(images, truth, outputs, training=training)
            pictures = mean_over_replicas(tf.cast(tf.shape(images)[0], tf.float32))
        self._loss_tracker.update_state(loss * num_replicas(), sample_weight=pictures)
        return loss


def num_replicas_of(model) -> int:
    """Return how many devices a model was built for."""
    if keras.backend.backend() != "tensorflow":
        return 1
    return model.distribute_strategy.num_replicas_in_sync
