"""What the constructors of the losses share, written once: arguments, signature and config."""

import inspect
from typing import Any, TypedDict

from keras_focal import _arguments as check
from keras_focal._base import ElementLoss


class Common(TypedDict, total=False):
    """What every loss takes beside its own arguments; `FocalLoss` says what they mean."""

    from_logits: bool
    reduction: str | None
    dtype: Any


class Smoothed(Common, total=False):
    """The same for labels that are classes, not qualities."""

    label_smoothing: float


class Labelled(Smoothed, total=False):
    """The same where some labels may stand for none."""

    ignore_label: int | None


class Arguments:
    """A class whose arguments are attributes of the same name; its bases take some as `common`."""

    _parameters: dict[str, inspect.Parameter] = {}
    __signature__: inspect.Signature

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let `inspect.signature` and `help` show what `**common` stands for."""
        super().__init_subclass__(**kwargs)
        _, *given = inspect.signature(cls.__init__).parameters.values()
        named = {p.name: p for p in given if p.kind is not p.VAR_KEYWORD}
        own = {name: p for name, p in named.items() if name not in cls._parameters}
        cls._parameters = own | cls._parameters | named
        shown = cls._parameters.values() if any(p.name == "common" for p in given) else given
        cls.__signature__ = inspect.Signature(list(shown))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        own = {name: getattr(self, name) for name in self._parameters if hasattr(self, name)}
        return {**super().get_config(), **own}  # type: ignore[misc]


class CommonLoss(Arguments, ElementLoss):
    """A loss of logits, or of probabilities whose logits are looked up."""

    def __init__(
        self,
        *,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None,
        dtype: Any = None,
        **unknown: object,
    ):
        if unknown:
            raise TypeError(
                f"{type(self).__name__}: expected arguments among {', '.join(self._parameters)}, "
                f"received {', '.join(unknown)}"
            )
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.from_logits = check.flag("from_logits", from_logits)
