"""How much arithmetic a network does."""

from __future__ import annotations

import keras

from yolo.errors import ConfigError


def multiply_adds(network: keras.Model, image_size: tuple[int, int]) -> int:
    """Count the multiply-adds of all convolutions for one picture.

    Convolutions are nearly all there is; additions of biases, normalisation (which is folded
    into them for use) and activations are left out, as is usual. One multiply-add is two FLOPs.

    Args:
        network: any model from pictures to maps, on the TensorFlow backend.
        image_size: (height, width) in pixels.

    Returns:
        The number of multiply-adds.

    Raises:
        ConfigError: another backend.

    Example:
        >>> picture = keras.Input((None, None, 3))
        >>> network = keras.Model(picture, keras.layers.Conv2D(8, 3, padding="same")(picture))
        >>> multiply_adds(network, (4, 6)) == 4 * 6 * 3 * 3 * 3 * 8
        True
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError("multiply-adds are counted in a TensorFlow graph; set KERAS_BACKEND")
    import tensorflow as tf

    shape = tf.TensorSpec((1, *image_size, 3), "float32")
    before = tf.config.functions_run_eagerly()
    # Keras compiles convolutions in groups as functions of their own; so they stand in this one.
    tf.config.run_functions_eagerly(True)
    try:
        function = tf.function(lambda picture: network(picture, training=False))
        operations = function.get_concrete_function(shape).graph.get_operations()
    finally:
        tf.config.run_functions_eagerly(before)
    return sum(_of_one(operation) for operation in operations)


def _of_one(operation) -> int:
    """Return the multiply-adds of a convolution, 0 for anything else."""
    if operation.type not in ("Conv2D", "DepthwiseConv2dNative"):
        return 0
    # At each place of the map, (1, h, w, c), every value of the kernel is used once.
    height, width = operation.outputs[0].shape[1:3]
    return height * width * operation.inputs[1].shape.num_elements()
