"""Fault tests at full count; `python -m tests.faults.full` prints their table."""
