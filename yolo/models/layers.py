"""The building blocks of every network: convolution, fused batch norm, activation, SPP."""

from __future__ import annotations

import contextlib
import contextvars
import functools

import keras
from keras import ops

from yolo.models.replicas import sum_over_replicas
from yolo.system import processor

# Darknet's batch-norm epsilon and running-average factor (src/batchnorm_layer.c, cuDNN path).
NORM_EPSILON = 1e-5
NORM_MOMENTUM = 0.99


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch norm over the last axis of a 4-D map, by TensorFlow's fused kernel where there is one.

    Keras builds the training step of batch norm from a dozen element-wise operations. The fused
    kernel takes a quarter of the time and reads bfloat16 with statistics in float32. Weights,
    config and saved form are those of the parent class, which also serves the other backends.

    With `frozen`, scale and shift are constants, so that a pretrained network keeps its own
    statistics however small the batches are.

    Reference:
        Ioffe and Szegedy (2015), Batch Normalization, section 3.
    """

    def __init__(self, *, frozen=False, **kwargs):
        super().__init__(**kwargs)
        self.frozen = frozen

    def add_weight(self, *args, **kwargs):
        """Create a weight; a frozen layer has none that setting `trainable` would free."""
        if self.frozen:
            kwargs["trainable"] = False
        return super().add_weight(*args, **kwargs)

    def get_config(self):
        """Return the arguments."""
        config = super().get_config()
        return {**config, "frozen": True} if self.frozen else config

    def call(self, inputs, training=None, mask=None):
        """Normalise (batch, h, w, channels) by the batch when training, else by the averages."""
        training = bool(training) and self.trainable and not self.frozen
        if not training or mask is not None or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        if self.synchronized:
            return self._normalize_over_replicas(inputs)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=tf.zeros([0], tf.float32),
            variance=tf.zeros([0], tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel returns the unbiased variance; Keras and Darknet keep the biased one.
        shape = ops.shape(inputs)
        count = ops.cast(shape[0] * shape[1] * shape[2], "float32")
        self._move_averages(mean, variance * (count - 1.0) / count, count)
        return outputs

    def _normalize_over_replicas(self, inputs):
        """Normalise by the statistics of all replicas' pictures, with one sum over replicas."""
        import tensorflow as tf

        x = tf.cast(inputs, tf.float32)
        # Around the running mean, which all replicas share: squares of large numbers lose digits.
        centre = tf.cast(self.moving_mean, tf.float32)
        shifted = x - centre
        sums = tf.reduce_sum(tf.stack([shifted, tf.square(shifted)]), axis=(1, 2, 3))
        size = tf.cast(tf.size(x) / tf.shape(x)[-1], tf.float32)
        total = sum_over_replicas(tf.concat([sums, tf.fill([1, x.shape[-1]], size)], axis=0))
        mean, square, count = tf.unstack(tf.concat([total[:2] / total[2:], total[2:]], axis=0))
        variance = tf.maximum(square - tf.square(mean), 0.0)
        mean += centre
        self._move_averages(mean, variance, count[0])
        outputs = tf.nn.batch_normalization(
            x, mean, variance, tf.cast(self.beta, tf.float32), tf.cast(self.gamma, tf.float32),
            self.epsilon,
        )  # fmt: skip
        return tf.cast(outputs, inputs.dtype)

    def _move_averages(self, mean, variance, count):
        """Move the running statistics on by a batch; one without pictures leaves them."""
        momentum = self.momentum
        for average, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moved = average * momentum + ops.cast(batch, average.dtype) * (1.0 - momentum)
            average.assign(ops.where(count > 0, moved, average))

    def scale_and_shift(self):
        """Return float32 (channels,) s and b, so that inference is x * s + b."""
        scale = ops.cast(self.gamma, "float32") / ops.sqrt(
            ops.cast(self.moving_variance, "float32") + self.epsilon
        )
        return scale, ops.cast(self.beta, "float32") - ops.cast(self.moving_mean, "float32") * scale


_portable = contextvars.ContextVar("_portable", default=False)


@contextlib.contextmanager
def for_other_machines():
    """Trace graphs that any machine may run, not those that suit this one's processor."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


@functools.cache
def _tensorflow_mish(exponential):
    """Return Mish for TensorFlow: a forward and a compiled backward.

    The plain gradient walks over the map nine times; compiled it is one pass. With e = exp(x) and
    n = e (e + 2), tanh(softplus(x)) is n / (n + 2), and the slope needs no function but e.

    Args:
        exponential: compile the forward in that form, too; else it has the one that oneDNN fuses.
    """
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def backward(upstream, x):
        z = tf.cast(x, tf.float32)
        e = tf.exp(tf.minimum(z, 20.0))  # from there on the slope is 1 in float32
        n = e * (e + 2.0)
        inverse = 1.0 / (n + 2.0)
        slope = inverse * (n + 4.0 * z * e * (e + 1.0) * inverse)
        return tf.cast(tf.cast(upstream, tf.float32) * slope, x.dtype)

    @tf.function(jit_compile=True)
    def of_one_exponential(x):
        z = tf.cast(x, tf.float32)  # half precision overflows, and bfloat16 rounds each step
        e = tf.exp(tf.minimum(z, 20.0))  # from there on n / (n + 2) is 1 in float32
        n = e * (e + 2.0)
        return tf.cast(z * (n / (n + 2.0)), x.dtype)

    forward = of_one_exponential if exponential else lambda x: x * tf.tanh(tf.nn.softplus(x))

    @tf.custom_gradient
    def mish(x):
        return forward(x), lambda upstream: backward(upstream, x)

    return mish


def mish(x):
    """Return x * tanh(softplus(x)), element by element.

    Reference:
        Misra (2019), Mish: A Self Regularized Non-Monotonic Activation Function.
    """
    if keras.backend.backend() == "tensorflow":
        flags = set() if _portable.get() else processor.flags()
        return _tensorflow_mish(processor.wants_exponential_mish(flags))(x)
    return x * ops.tanh(ops.softplus(x))


def leaky(x):
    """Return max(x, 0.1 x), Darknet's leaky ReLU."""
    return ops.leaky_relu(x, negative_slope=0.1)


ACTIVATIONS = {
    "leaky": leaky,
    "mish": mish,
    "swish": ops.silu,
    "relu": ops.relu,
    "logistic": ops.sigmoid,
    "linear": lambda x: x,
}


def convolve(inputs, kernel, stride, padding):
    """Return a convolution with `padding` cells of zeros on each side, as in Darknet and PyTorch.

    Keras's "same" would pad the right and lower side only where the stride is 2. Inputs are
    (batch, h, w, channels), the kernel (size, size, channels of a group, filters).
    """
    kernel = ops.cast(kernel, inputs.dtype)
    if stride == 1 and 2 * padding + 1 == kernel.shape[0]:
        return ops.conv(inputs, kernel, padding="same")
    if padding:
        pads = (padding, padding)
        inputs = ops.pad(inputs, ((0, 0), pads, pads, (0, 0)))
    return ops.conv(inputs, kernel, strides=stride, padding="valid")


def _convolved_shape(input_shape, layer):
    """Return the shape of what `convolve` makes of (batch, h, w, channels)."""
    batch, *sides, _ = input_shape
    more = 2 * layer.pad - layer.size
    return (batch, *(s and (s + more) // layer.stride + 1 for s in sides), layer.filters)


class _Convolution(keras.layers.Conv2D):
    """A convolution whose kernel `ConvNorm` reads as stored, whatever precision is computed in.

    Folded in float32 the kernel is rounded once, when the convolution takes it.
    """

    def add_weight(self, *args, **kwargs):
        """Create a weight that mixed precision does not cast when it is read."""
        return super().add_weight(*args, **{**kwargs, "autocast": False})


class ConvNorm(keras.layers.Layer):
    """Convolution without bias, batch norm, activation: the brick of every network here.

    When not training, the norm is folded into the kernel, so that prediction runs one convolution
    with a bias.

    Args:
        filters: number of output channels.
        size: kernel height and width.
        stride: step of the convolution.
        groups: parts of the channels that are convolved each for itself.
        padding: cells of zeros on each side; None: size // 2, whatever the stride.
        activation: a key of `ACTIVATIONS`.
        norm: arguments of its `BatchNormalization` that are not the usual ones.
    """

    def __init__(
        self, filters, size, *, stride=1, activation="leaky", groups=1, padding=None, norm=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.filters, self.size, self.stride = filters, size, stride
        self.pad = size // 2 if padding is None else padding
        self.activation = activation
        self.convolution = _Convolution(
            filters, size, strides=stride, groups=groups, use_bias=False, dtype=self.dtype_policy,
            kernel_initializer="he_normal", name="convolution",
        )  # fmt: skip
        usual = {"epsilon": NORM_EPSILON, "momentum": NORM_MOMENTUM, "dtype": self.dtype_policy}
        self.norm = BatchNormalization(**{**usual, **(norm or {})}, name="norm")

    def build(self, input_shape):
        """Create kernel and norm for (batch, h, w, channels)."""
        self.convolution.build(input_shape)
        self.norm.build((None, None, None, self.filters))

    def compute_output_shape(self, input_shape):
        """Return (batch, h / stride, w / stride, filters)."""
        return _convolved_shape(input_shape, self)

    def call(self, inputs, training=None):
        """Map (batch, h, w, channels) to (batch, h / stride, w / stride, filters)."""
        training = bool(training) and self.trainable and not self.norm.frozen
        kernel = self.convolution.kernel
        if training:
            outputs = self.norm(self._convolve(inputs, kernel), training=True)
        else:
            scale, shift = self.norm.scale_and_shift()
            outputs = self._convolve(inputs, ops.cast(kernel, "float32") * scale)
            outputs = outputs + ops.cast(shift, outputs.dtype)
        return ACTIVATIONS[self.activation](outputs)

    def _convolve(self, inputs, kernel):
        return convolve(inputs, kernel, self.stride, self.pad)


class ConvBias(_Convolution):
    """Convolution with a bias and an activation; for its arguments see `ConvNorm`."""

    def __init__(self, filters, size, *, stride=1, groups=1, padding, activation, **kwargs):
        super().__init__(filters, size, strides=stride, groups=groups, **kwargs)
        self.size, self.stride, self.pad = size, stride, padding
        self.activate = ACTIVATIONS[activation]

    def compute_output_shape(self, input_shape):
        """Return (batch, h / stride, w / stride, filters)."""
        return _convolved_shape(input_shape, self)

    def call(self, inputs):
        """Map (batch, h, w, channels) to (batch, h / stride, w / stride, filters)."""
        outputs = convolve(inputs, self.kernel, self.stride, self.pad)
        return self.activate(outputs + ops.cast(self.bias, outputs.dtype))


class ChannelSplit(keras.layers.Layer):
    """Keep one of equal groups of channels (Darknet's route with groups and group_id)."""

    def __init__(self, groups=2, group=1, **kwargs):
        super().__init__(**kwargs)
        self.groups, self.group = groups, group

    def call(self, inputs):
        """Map (batch, h, w, channels) to (batch, h, w, channels // groups)."""
        # Not a slice: TensorFlow takes seven times as long for the gradient of one.
        return ops.split(inputs, self.groups, axis=-1)[self.group]


class Enlarge(keras.layers.Layer):
    """Repeat rows and columns as often as `times` says (Darknet's upsample).

    As `UpSampling2D`, but the number of channels stays known where height and width are not:
    LiteRT's converter refuses a convolution over a map whose channels it cannot count.
    """

    def __init__(self, times=2, **kwargs):
        super().__init__(**kwargs)
        self.times = times

    def compute_output_shape(self, input_shape):
        """Return (batch, times * h, times * w, channels)."""
        batch, height, width, channels = input_shape
        return (batch, height and self.times * height, width and self.times * width, channels)

    def call(self, inputs):
        """Map (batch, h, w, channels) to (batch, times * h, times * w, channels)."""
        _, height, width, channels = ops.shape(inputs)
        repeated = ops.repeat(ops.repeat(inputs, self.times, axis=1), self.times, axis=2)
        return ops.reshape(repeated, (-1, self.times * height, self.times * width, channels))


def spatial_pyramid_pooling(x):
    """Return max pools over 13, 9 and 5 and x itself, stacked: (batch, h, w, 4 * channels).

    Reference:
        He et al. (2014), Spatial Pyramid Pooling; the order is that of darknet's yolov4.cfg.
    """
    pools = [
        keras.layers.MaxPooling2D(size, strides=1, padding="same", name=f"spp_pool_{size}")(x)
        for size in (13, 9, 5)
    ]
    return keras.layers.Concatenate(name="spp_stack")([*pools, x])
