"""A step that is not finite changes nothing: the guard on JAX; TensorFlow's test is elsewhere."""

import keras
import numpy as np
import pytest

from yolo.training import guard

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="this is JAX's test")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["GuardedSGD", "GuardedAdam", "GuardedAdamW"])
def test_a_bad_step_is_not_taken_and_the_next_one_is(kind, bad):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer = getattr(guard, kind)(0.01, use_ema=True, weight_decay=0.01, global_clipnorm=1.0)
    model.compile(optimizer, "mse")
    rng, outcome = np.random.default_rng(0), []

    def state():
        found = [*model.variables, *(v for v in optimizer.variables if v is not optimizer.refused)]
        return [keras.ops.convert_to_numpy(variable).copy() for variable in found]

    for number in range(3):
        x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
        x[3, 2] = bad if number == 1 else 0.5
        before = state() if number else None
        model.fit(x, y, batch_size=4, verbose=0, shuffle=False)
        if number:
            moved = any((a != b).any() for a, b in zip(before, state(), strict=True))
            outcome.append((moved, int(optimizer.refused.numpy())))
    assert outcome == [(False, 1), (True, 1)]
    assert all(np.isfinite(array).all() for array in state())
