"""Experiment-tracked hyperparameter search for tabular regression."""
