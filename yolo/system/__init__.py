"""Files, processes, signals and the terminal, so that nothing is lost or blocks."""
