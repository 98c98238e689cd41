"""Keras Tuner's Gaussian process, without scikit-learn's checks of the single rows that it is asked about thousands of times.

A proposal of the Bayesian oracle takes some ten thousand predictions, each of one row of the oracle's own making. Checking it is
most of what such a prediction costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.gaussian_process import GaussianProcessRegressor


class UncheckedGaussianProcess(GaussianProcessRegressor):  # type: ignore[misc]
    """Predicts, bit for bit, what the class that it extends predicts for finite rows and one target."""

    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:
        """Mean and standard deviation, (n,) each, of `X` (n, features), finite numbers of 64 bits; all else is its parent's.

        Rasmussen and Williams 2006, algorithm 2.1.
        """
        if return_cov or not return_std or not hasattr(self, "X_train_"):
            return super().predict(X, return_std=return_std, return_cov=return_cov)
        kernel = self.kernel_(X, self.X_train_)
        scale = self._y_train_std
        mean = scale * (kernel @ self.alpha_) + self._y_train_mean
        solved = solve_triangular(self.L_, kernel.T, lower=True, check_finite=False)
        variance = self.kernel_.diag(X) - np.einsum("ij,ji->i", solved.T, solved)
        return mean, np.sqrt(np.maximum(variance, 0.0) * scale**2)


def unchecked(process: GaussianProcessRegressor) -> UncheckedGaussianProcess:
    """The same process, not fitted."""
    return UncheckedGaussianProcess(**process.get_params(deep=False))
