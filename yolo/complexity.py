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
    return _count(
        tf.function(lambda x: network(x, training=False)).get_concrete_function(shape).graph
    )


def _count(graph) -> int:
    total = 0
    for operation in graph.get_operations():
        if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
            # At each place of the map, (1, h, w, c), every value of the kernel is used once.
            height, width = operation.outputs[0].shape[1:3]
            total += height * width * operation.inputs[1].shape.num_elements()
        elif operation.type.endswith("PartitionedCall"):
            # Keras compiles convolutions in groups as functions of their own.
            total += _count(graph._get_function(operation.get_attr("f").name).graph)
    return total
