"""What importing loads, and how the functions behave under the backend's own transformations."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from gradients import numpy64, value_and_grad

import keras_focal
from keras_focal import FocalLoss, sigmoid_focal_loss

BACKEND = keras.backend.backend()


def test_import_loads_nothing_else():
    program = (
        "import sys, keras; before = set(sys.modules)\n"
        "import keras_focal\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new & {'yolo', 'cv2', 'tensorflow', 'jax', 'torch', 'matplotlib'}))\n"
        "print('yolo' in sys.modules, sorted(new - set(sys.stdlib_module_names)))"
    )
    root = Path(keras_focal.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["[]", "False ['keras_focal']"]


def test_imports_of_the_source():
    allowed = {"keras", "numpy", "keras_focal", "matplotlib", *sys.stdlib_module_names}
    for path in Path(keras_focal.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert {name.split(".")[0] for name in names} <= allowed, path.name


def test_public_names():
    assert keras_focal.__version__ == "0.1.0"
    for name in keras_focal.__all__:
        assert getattr(keras_focal, name) is not None


@pytest.mark.parametrize("name", [n for n in keras_focal.__all__ if n.lower().endswith("loss")])
def test_a_loss_states_its_formula_as_mathematics(name):
    if name != "ElementLoss":
        assert re.search(r"\$\$\S.+?\$\$\n", getattr(keras_focal, name).__doc__, re.DOTALL)


def compiled(function):
    """Return function compiled by the backend, where it compiles."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], [0.0, 1.0, 1.0, 0.0], [0.2, 1.0, 0.7, 0.0]])
@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_compiled_equals_eager(labels, scale):
    y, z = np.array(labels), np.array([-1.0, 0.5, -0.25, 1.0]) * scale
    loss = FocalLoss(from_logits=True, reduction="none")
    eager, slope = value_and_grad(lambda x: loss(y, x), z)
    graph, graph_slope = value_and_grad(compiled(lambda x: loss(y, x)), z)
    np.testing.assert_allclose(graph, eager, rtol=1e-6)
    np.testing.assert_allclose(graph_slope, slope, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("labels", [[1.0, 0.0, 1.0], [0.3, 0.0, 0.6]])
def test_second_derivative(gamma, labels):
    y, z, step = np.array(labels), np.array([-1.0, 0.5, 2.0], "float32"), 1e-2

    def slope(x):
        return value_and_grad(lambda x: sigmoid_focal_loss(y, x, gamma=gamma), x)[1]

    numeric = (slope(z + step) - slope(z - step)) / (2 * step)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(z)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = sigmoid_focal_loss(y, x, gamma=gamma)
            first = inner.gradient(loss, x)
        second = outer.gradient(first, x)
    elif BACKEND == "jax":
        import jax

        def total(x):
            return sigmoid_focal_loss(y, x, gamma=gamma).sum()

        second = np.diag(jax.hessian(total)(z))
    else:
        import torch

        x = torch.tensor(z, requires_grad=True)
        loss = sigmoid_focal_loss(y, x, gamma=gamma).sum()
        (first,) = torch.autograd.grad(loss, x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
    second = second if isinstance(second, np.ndarray) else numpy64(second)
    np.testing.assert_allclose(second, numeric, rtol=2e-3, atol=2e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="concerns TensorFlow alone")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_unknown_shapes_and_xla(jit_compile):
    import tensorflow as tf

    @tf.function(
        jit_compile=jit_compile,
        input_signature=[tf.TensorSpec((None, 3)), tf.TensorSpec((None, 3))],
    )
    def step(y, z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = FocalLoss(from_logits=True, ignore_label=-1)(y, z)
        return loss, tape.gradient(loss, z)

    y, z = np.array([[1, 0, -1]], "float32"), np.array([[0.5, 2, 3]], "float32")
    loss, slope = step(y, z)
    exact, exact_slope = value_and_grad(
        lambda x: FocalLoss(from_logits=True)(y[:, :2], x), z[:, :2]
    )
    np.testing.assert_allclose(float(loss), exact, rtol=1e-6)
    np.testing.assert_allclose(slope.numpy()[:, :2], exact_slope, rtol=1e-6)
    assert slope.numpy()[0, 2] == 0
