"""What there is to measure: a module of groups for each section, and how to prepare its cases."""

from __future__ import annotations

from benchmarks import loss, pipeline, prediction, scaling, training, zoo
from benchmarks.plan import Group

SECTIONS = {
    "pipeline": pipeline,
    "training": training,
    "prediction": prediction,
    "loss": loss,
    "scaling": scaling,
    "zoo": zoo,
}


def groups() -> list[Group]:
    """Return the groups of all sections, in their order."""
    return [group for section in SECTIONS.values() for group in section.GROUPS]
