"""Runs every benchmark."""

from benchmarks import trial_cost

trial_cost.main()
