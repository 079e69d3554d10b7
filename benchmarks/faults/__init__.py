"""Faults on purpose, counted: python -m benchmarks.faults."""
