"""Benchmarks, each runnable by one command; `python -m benchmarks` runs all."""
