"""One run: from its settings to its best model and its report."""
