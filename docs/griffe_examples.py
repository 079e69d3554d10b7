"""What mkdocstrings reads besides docstrings: "Example" sections, and the fields of settings."""

import dataclasses
import importlib

import griffe


class Examples(griffe.Extension):
    """What mkdocs.yml names among the extensions of mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Rename the section "Example" of one docstring as Griffe calls it."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_) -> None:
        """Show a setting with its default, range and help, not as the call that declares it."""
        above = [str(one.value) for one in getattr(attr.parent, "decorators", ())]
        if "dataclass(frozen=True)" not in above or not isinstance(attr.value, griffe.ExprCall):
            return
        kind = getattr(importlib.import_module(attr.module.path), attr.parent.name)
        own = {field.name: field for field in dataclasses.fields(kind)}.get(attr.name)
        if own and "help" in own.metadata:
            attr.value = repr(own.default)
            about, text = own.metadata, own.metadata["help"]
            if "choices" in about:
                text += f" (one of {', '.join(about['choices'])})"
            if "within" in about:
                text += " (in {:g} to {:g})".format(*about["within"])
            attr.docstring = griffe.Docstring(text, parent=attr)
