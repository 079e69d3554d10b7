"""Pages and figures that show a finished run, or a data set and what is wrong with it."""
