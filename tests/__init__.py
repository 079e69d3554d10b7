"""The tests; a package, lest one named `tests` among the installed ones be taken for it."""
