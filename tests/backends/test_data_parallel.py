"""`keras.distribution.DataParallel` on simulated devices trains as one device does (JAX).

JAX divides a program over devices by itself, so that every sum of the losses is one over the whole
batch, batch norm's moments included. Devices can only be simulated before JAX starts; hence two
processes. The networks are small: it is losses and norms that know of the batch.
"""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="this is JAX's test")

LEARNING_RATES = {"yolov4-tiny": 1e-3, "retinanet-csp-tiny": 1e-2}
STEPS, BATCH = 3, 4


def batches():
    """Return batches whose halves differ in the number of objects, one half without any."""
    rng = np.random.default_rng(0)
    for step in range(STEPS):
        images = rng.integers(0, 256, (BATCH, 64, 64, 3), np.uint8)
        corner = rng.uniform(0, 30, (BATCH, 3, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 30, (BATCH, 3, 2))], axis=2)
        classes = rng.integers(0, 2, (BATCH, 3))
        classes[0, 1:] = -1
        classes[BATCH // 2 :, step:] = -1  # the second device has none in the first step
        yield images, {"boxes": boxes.astype("float32"), "classes": classes.astype("int32")}


def train(name):
    """Train for a few steps; return the losses, the weights, and how far these have moved."""
    import yolo
    from tests.faults.full import small
    from tests.yolo.helpers import narrow
    from yolo.models.retinanet import network as retinanet
    from yolo.models.yolov4 import network

    network.build_network, retinanet.SUBNET_DEPTH = small.build_network, 1
    keras.utils.set_random_seed(0)
    with narrow():
        model = yolo.build(name, classes=["a", "b"], image_size=(64, 64))
    model.compile(keras.optimizers.SGD(LEARNING_RATES[name], momentum=0.9), loss="focal")
    before = model.get_weights()
    losses = [
        float(
            model.fit(images, truth, batch_size=BATCH, shuffle=False, verbose=0).history["loss"][0]
        )
        for images, truth in batches()
    ]
    weights = [np.asarray(weight) for weight in model.get_weights()]
    moved = [float(np.abs(b - a).max()) for a, b in zip(before, weights, strict=True)]
    spread = {len(weight.value.sharding.device_set) for weight in model.trainable_weights}
    assert spread == {len(keras.distribution.list_devices())}, "every device holds all weights"
    return losses, weights, moved


def main(folder):
    """Train every model, on all devices there are, and write what came out."""
    devices = keras.distribution.list_devices()
    if len(devices) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    losses, moved = {}, {}
    for name in LEARNING_RATES:
        losses[name], weights, moved[name] = train(name)
        np.savez(os.path.join(folder, f"{name}.npz"), *weights)  # noqa: PTH118
    with open(os.path.join(folder, "said.json"), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
        json.dump({"devices": len(devices), "losses": losses, "moved": moved}, file)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Return what processes with one and with two devices came to."""
    running, found = {}, {}
    for count in (1, 2):
        folder = tmp_path_factory.mktemp(f"devices{count}")
        flags = f"--xla_force_host_platform_device_count={count} --xla_backend_optimization_level=0"
        environment = {
            **os.environ, "XLA_FLAGS": flags, "SMALL_DROPOUT": "0", "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        command = [sys.executable, __file__, str(folder)]
        with (folder / "err.txt").open("wb") as errors:
            running[folder] = subprocess.Popen(command, env=environment, stderr=errors)
    for folder, process in running.items():
        try:
            code = process.wait(timeout=900)
        finally:
            process.kill()
        assert code == 0, (folder / "err.txt").read_text(encoding="utf-8")[-2000:]
        said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
        weights = {name: list(np.load(folder / f"{name}.npz").values()) for name in LEARNING_RATES}
        found[said["devices"]] = said["losses"], weights, said["moved"]
    assert sorted(found) == [1, 2]
    return found


@pytest.mark.parametrize("name", LEARNING_RATES)
def test_two_devices_train_as_one(outcomes, name):
    one, two = ([part[name] for part in outcomes[count]] for count in (1, 2))
    assert len(set(one[0])) == STEPS and all(np.isfinite(one[0]))
    np.testing.assert_allclose(two[0], one[0], rtol=1e-5)
    # Few steps move some weights little: they agree to a tenth of how far they have moved, where
    # a loss that was divided by one device's own objects would send them elsewhere.
    for a, b, moved in zip(one[1], two[1], one[2], strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=min(1e-5, 0.1 * moved + 3e-7))
    assert np.median(one[2]) > 2e-5


if __name__ == "__main__":
    main(sys.argv[1])
