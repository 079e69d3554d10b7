"""A setting is declared once: its range holds wherever it is offered."""

import math
from dataclasses import dataclass, fields

import pytest

from yolo.errors import ConfigError
from yolo.models.option import check, option, taken


@dataclass
class Plain:
    share: float = option(0.5, "a share", within=(0, 1))
    prior: float | None = option(0.1, "a probability", above=0, below=1)
    width: int = option(64, "of a network", within=(32, 128), step=32)
    shape: str = option("round", "of a thing", choices=("round", "square"))


@dataclass
class Offered:
    share: float = taken(Plain, "share", group="model")
    shape: str | None = taken(Plain, "shape", default=None, default_text="as it comes")


@pytest.mark.parametrize(
    "change",
    [{}, {"share": 0}, {"share": 1}, {"prior": None}, {"prior": 1e-9}, {"width": 128},
     {"shape": "square"}],
)  # fmt: skip
def test_what_is_allowed(change):
    check(Plain(**change))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"share": 1.5}, "share lies in 0 to 1, not 1.5"),
        ({"share": math.nan}, "share lies in 0 to 1, not nan"),
        ({"prior": 0.0}, "prior lies above 0, not 0.0"),
        ({"prior": 1.0}, "prior lies below 1, not 1.0"),
        ({"prior": math.nan}, "prior lies above 0, not nan"),
        ({"width": 100}, "width is a multiple of 32, not 100"),
        ({"width": 160}, "width lies in 32 to 128, not 160"),
        ({"shape": "oval"}, "shape is one of round, square, not 'oval'"),
        (
            {"shape": "squares"},
            "shape is one of round, square, not 'squares'; did you mean 'square'?",
        ),
    ],
)
def test_what_is_refused_and_how(change, words):
    with pytest.raises(ConfigError) as caught:
        check(Plain(**change))
    assert str(caught.value) == words


def test_what_is_taken_is_as_it_was_but_for_what_is_said():
    own, offered = ({field.name: field for field in fields(kind)} for kind in (Plain, Offered))
    assert offered["share"].default == 0.5 and offered["shape"].default is None
    assert offered["share"].metadata == {**own["share"].metadata, "group": "model"}
    assert offered["shape"].metadata == {**own["shape"].metadata, "default_text": "as it comes"}
    check(Offered())
    with pytest.raises(ConfigError, match="share lies in 0 to 1"):
        check(Offered(share=2.0))
