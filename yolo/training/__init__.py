"""The training run: schedule, callbacks, run folder."""
