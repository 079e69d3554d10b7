"""What can go wrong outside the program, and the exit code that the command line gives for it."""


class YoloError(Exception):
    """A failure with a message for people: what happened, where, and how to mend it."""

    exit_code = 1


class ConfigError(YoloError):
    """A setting, an option or a configuration file cannot be used as it is."""

    exit_code = 2


class DatasetError(YoloError):
    """A data set, an annotation or a picture cannot be read or makes no sense."""

    exit_code = 3


class WeightsError(YoloError):
    """A weights file is damaged or does not fit the model."""

    exit_code = 4


class NoNumbers(WeightsError, ValueError):
    """A model computes NaN."""


class OutOfMemory(YoloError, MemoryError):
    """The work at hand does not fit into memory.

    Args:
        what: what does not fit.
        advice: what to try.
    """

    def __init__(self, what: str, advice: str):
        super().__init__(what, advice)  # as it is made again in another process
        self.what = what

    def __str__(self) -> str:
        return "; ".join(self.args)
