"""Optimizers that refuse a step whose gradient is no finite number, inside the compiled step."""

from __future__ import annotations

import threading

import keras
from keras import ops

from yolo.models.replicas import num_replicas

_OF_BACKEND = keras.optimizers.Optimizer.__bases__[0]

_here = threading.local()  # each replica of a strategy goes through its step in its own thread

# float16: what the loss is multiplied with at first and at least, and how many good steps double it
FIRST_SCALE, LEAST_SCALE, STEPS_TO_DOUBLE = 2.0**15, 2.0**-10, 2000


class Guard:
    """Mixed into an optimizer: a step with a gradient that is not finite changes nothing.

    Neither weights nor momenta, averages or the count of iterations move, and what `remember`
    was given, batch norm's statistics say, is put back; `refused` counts for the host to see. On
    several replicas the gradients are summed first, so that the clipping of their norm is that of
    one device on the whole batch, and all refuse if one must. The price is one sum over each
    gradient. (A loss that is not finite makes its gradients so: see `Detector.compute_loss`.)

    The averaged weights stay where they are when `fit` ends: a training that is resumed in the
    middle of an epoch is two fits, and only its owner knows when the averages are wanted.

    Args:
        *args: of the optimizer.
        dynamic_scale: multiply the loss so that small gradients do not vanish in float16, as
            Keras's LossScaleOptimizer does. That one, which wraps another optimizer, skips steps
            without a word to it: what the forward pass has moved would stay so. Here a gradient
            that is not finite halves the factor, as usual; `refused` counts those that are not
            even with the least one. `compile` needs `auto_scale_loss=False`. TensorFlow only.
        **kwargs: of the optimizer.

    Reference:
        Micikevicius et al. (2018), Mixed Precision Training, section 3.2.
    """

    def __init__(self, *args, dynamic_scale: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        if dynamic_scale and keras.backend.backend() != "tensorflow":
            raise ValueError("dynamic_scale needs Keras's TensorFlow backend")
        self.dynamic_scale = dynamic_scale

    def get_config(self):
        """Return the arguments as plain values."""
        return {**super().get_config(), "dynamic_scale": self.dynamic_scale}

    def build(self, variables):
        """Create the optimizer's variables, and the mark of a refused step."""
        if not self.built:
            self.refused = self.add_variable((), dtype="int32", name="refused")
            if self.dynamic_scale:
                first = keras.initializers.Constant(FIRST_SCALE)
                self.scale = self.add_variable((), first, name="loss_scale")
                self.good_steps = self.add_variable((), dtype="int32", name="steps_since_scaled")
        super().build(variables)

    def scale_loss(self, loss):
        """Return the loss as it is to be differentiated."""
        if not self.dynamic_scale:
            return super().scale_loss(loss)
        return loss * (self.scale if self.built else FIRST_SCALE)

    def _note_step(self, taken: bool) -> None:
        """Count a step that was not taken; adapt the loss's factor."""
        if not self.dynamic_scale:
            if not taken:
                self.refused.assign(self.refused + 1)
            return
        scale, good = ops.convert_to_tensor(self.scale), self.good_steps + 1
        if taken:
            double = good >= STEPS_TO_DOUBLE
            self.scale.assign(ops.where(double, 2 * scale, scale))
            self.good_steps.assign(ops.where(double, 0, good))
        else:
            self.refused.assign(self.refused + ops.cast(scale <= LEAST_SCALE, "int32"))
            self.scale.assign(ops.maximum(scale / 2, LEAST_SCALE))
            self.good_steps.assign(0)

    def finalize_variable_values(self, var_list):
        """Leave the model's weights as trained; `use_averages` puts the averages in."""

    def remember(self, variables) -> None:
        """Note the values of variables that the forward pass is about to move.

        `apply` in the same step puts them back if it refuses. Reading costs nothing: TensorFlow
        copies no values until a variable is assigned. On JAX the step around this one has the old
        values: `keep_if_refused`.
        """
        import tensorflow as tf

        # Keras's own conversion gives the variable itself, which is read when it has moved.
        _here.before = [(v, tf.convert_to_tensor(v.value)) for v in variables]

    def apply(self, grads, trainable_variables=None):
        """Take the step if every gradient, summed over all replicas, is finite."""
        if keras.backend.backend() != "tensorflow":
            super().apply(grads, trainable_variables)  # guarded by `stateless_apply`
            return
        import tensorflow as tf

        if not self.built:
            self.build(trainable_variables)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            # Keras sums after it has clipped: each replica's share of the gradient for itself.
            there = [i for i, grad in enumerate(grads) if grad is not None]
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [grads[i] for i in there])
            grads = list(grads)
            for i, total in zip(there, sums, strict=True):
                grads[i] = total
        finite = ops.isfinite(_sum(grads))
        if self.dynamic_scale:
            grads = [grad if grad is None else grad / self.scale for grad in grads]

        moved = getattr(_here, "before", [])
        _here.before = []
        values = [value for _, value in moved]

        def step():
            super(Guard, self).apply(grads, trainable_variables)
            self._note_step(taken=True)

        def refuse():
            self._note_step(taken=False)
            for variable, value in moved:
                variable.assign(value)

        if context.num_replicas_in_sync == 1:
            ops.cond(finite, step, refuse)
            return

        # A branch may not merge replicas, which the optimizer does: so merge first, branch then.
        def merged(strategy, grads, variables, finite, values):
            local = strategy.experimental_local_results

            def refuse():
                self._note_step(taken=False)
                for (variable, _), value in zip(moved, values, strict=True):
                    for copy, old in zip(local(variable.value), local(value), strict=True):
                        copy.assign(old)

            def step():
                strategy.extended.call_for_each_replica(
                    super(Guard, self).apply, args=(grads, variables)
                )
                self._note_step(taken=True)

            ops.cond(local(finite)[0], step, refuse)

        context.merge_call(merged, args=(grads, trainable_variables, finite, values))

    # With gradients that all replicas share each can change its own copy of the variables. Keras
    # would bring the replicas together for it, which a branch, as for accumulated gradients, may
    # not; and sum once more.

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        self._kind()._backend_update_step(grads, trainable_variables, learning_rate)

    def _apply_weight_decay(self, variables):
        self._kind()._apply_weight_decay(variables)

    def _backend_increment_gradient_accumulators(self, grads, acc_grads):
        self._kind()._backend_increment_gradient_accumulators(grads, acc_grads)

    def _kind(self):
        """Return whose parts of a step suit: on replicas Keras's general ones."""
        return super() if num_replicas() == 1 else super(_OF_BACKEND, self)

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        """Return the step's values if every gradient is finite, else those given (JAX)."""
        place = next(i for i, v in enumerate(self.variables) if v is self.refused)
        refused = list(optimizer_variables)
        refused[place] = refused[place] + 1
        step = super().stateless_apply
        return ops.cond(
            ops.isfinite(_sum(grads)),
            lambda: step(optimizer_variables, grads, trainable_variables),
            lambda: (list(trainable_variables), refused),
        )

    def keep_if_refused(self, before, batch, found):
        """Return a step's outcome with the old non-trainable values if it was refused (JAX).

        Args:
            before: trainable, non-trainable, optimizer's and metrics' values before the step.
            batch: of the step; not looked at.
            found: what Keras's step returned: figures, and these values after it.
        """
        logs, after = found
        place = next(i for i, v in enumerate(self.variables) if v is self.refused)
        refused = after[2][place] > before[2][place]
        kept = [ops.where(refused, old, new) for old, new in zip(before[1], after[1], strict=True)]
        return logs, (after[0], kept, *after[2:])


def _sum(grads):
    """Return a scalar that is finite only if all gradients are."""
    return sum(ops.cast(ops.sum(grad), "float32") for grad in grads if grad is not None)


@keras.saving.register_keras_serializable(package="yolo")
class GuardedSGD(Guard, keras.optimizers.SGD):
    """SGD that refuses steps that are not finite."""


@keras.saving.register_keras_serializable(package="yolo")
class GuardedAdam(Guard, keras.optimizers.Adam):
    """Adam that refuses steps that are not finite."""


@keras.saving.register_keras_serializable(package="yolo")
class GuardedAdamW(Guard, keras.optimizers.AdamW):
    """AdamW that refuses steps that are not finite."""
