"""Fault tests at full count; `python -m benchmarks.faults` prints their table."""
