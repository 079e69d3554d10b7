"""Reads our docstrings' "Example" as Griffe's "Examples", so that doctests are shown as code."""

import griffe


class Examples(griffe.Extension):
    """What mkdocs.yml names among the extensions of mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Rename the section in one docstring."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
