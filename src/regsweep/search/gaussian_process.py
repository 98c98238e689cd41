"""Keras Tuner's Gaussian process, without scikit-learn's checks of the single rows that it is asked about thousands of times.

A proposal of the Bayesian oracle takes some ten thousand predictions, each of one row of the oracle's own making. Checking it,
and looking up what does not change between two fits, is most of what such a prediction costs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg.lapack import dtrtrs
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern


class UncheckedGaussianProcess(GaussianProcessRegressor):  # type: ignore[misc]
    """Predicts, bit for bit, what the class that it extends predicts for finite rows and one target.

    Its kernel is a Matern kernel of nu 2.5 with one length scale.
    """

    def fit(self, X: Any, y: Any) -> UncheckedGaussianProcess:
        """Fit to `X` (n, features) and `y` (n,). Raises what its parent raises."""
        super().fit(X, y)
        self._length = float(self.kernel_.length_scale)
        self._rows = self.X_train_ / self._length
        # In the order that LAPACK reads without a copy.
        self._lower = np.asfortranarray(self.L_)
        return self

    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:
        """Mean and standard deviation, (n,) each, of `X` (n, features), finite numbers of 64 bits; all else is its parent's.

        Rasmussen and Williams 2006, algorithm 2.1, and equation 4.17 for the kernel.
        """
        if return_cov or not return_std or not hasattr(self, "X_train_"):
            return super().predict(X, return_std=return_std, return_cov=return_cov)
        scaled = cdist(X / self._length, self._rows) * math.sqrt(5)
        kernel = (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
        mean = self._y_train_std * (kernel @ self.alpha_) + self._y_train_mean
        solved, _ = dtrtrs(self._lower, kernel.T, lower=1)
        variance = 1.0 - np.einsum("ij,ji->i", solved.T, solved)
        return mean, np.sqrt(np.maximum(variance, 0.0) * self._y_train_std**2)


def unchecked(process: GaussianProcessRegressor) -> GaussianProcessRegressor:
    """The same process, not fitted, without checks; with another kernel than Keras Tuner's it is returned as it is."""
    kernel = process.kernel
    if not isinstance(kernel, Matern) or kernel.nu != 2.5 or kernel.anisotropic:
        return process
    return UncheckedGaussianProcess(**process.get_params(deep=False))
