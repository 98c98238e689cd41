"""Linear models with a formula instead of a search: least squares three ways, and ridge.

In: features x of shape (n, p), encoded, finite float64, and the target y of shape (n,). Out: a `LinearFit`. No randomness.

The three ways solve one problem: minimise ‖y - [1 x] θ‖² with θ = [intercept, coefficients]. They share the design, whose
columns are divided by their root mean square so that no decision depends on units, and the cut-off `RCOND`: a direction of
that design counts as collinear when its singular value (for QR: its diagonal element of R) is at most RCOND times the
largest one. Where columns are collinear θ is not unique: QR gives the basic solution (the superfluous columns get 0), SVD and
the pseudo-inverse the shortest one. Their predictions agree on every row that obeys the collinearity of the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

FloatArray = npt.NDArray[np.float64]

# Standardising two columns that say the same (°C and °F, a year and a date) leaves rounding of 1e-14 or so between them, above
# LAPACK's default cut-off for short tables; and beyond a condition of 1e10 a coefficient would keep fewer than six digits.
RCOND = 1e-10

RIDGE_PENALTY = 1.0


@dataclass(frozen=True, eq=False)
class LinearFit:
    """prediction = intercept + x · coefficients.

    `intercept` in target units; `coefficients` of shape (p,) in target units per unit of their feature.
    """

    intercept: float
    coefficients: FloatArray

    def predict(self, x: FloatArray) -> FloatArray:
        """Predictions of shape (m,) in target units for features of shape (m, p)."""
        predicted: FloatArray = self.intercept + x @ self.coefficients
        return predicted


def least_squares_qr(x: FloatArray, y: FloatArray) -> LinearFit:
    """Least squares by QR with column pivoting, [1 x] P = Q R: the basic solution of R θ = Qᵀ y on the independent columns.

    `x` (n, p), `y` (n,). Golub & Van Loan, Matrix Computations, 4th ed., section 5.5.
    """
    design, scale = _design(x)
    q, r, order = scipy.linalg.qr(design, mode="economic", pivoting=True)
    diagonal = np.abs(np.diagonal(r))
    rank = int(np.count_nonzero(diagonal > RCOND * diagonal[0]))
    theta = np.zeros(design.shape[1])
    theta[order[:rank]] = scipy.linalg.solve_triangular(r[:rank, :rank], q[:, :rank].T @ y)
    return _linear_fit(theta / scale)


def least_squares_svd(x: FloatArray, y: FloatArray) -> LinearFit:
    """Least squares by singular values, [1 x] = U S Vᵀ: θ = V S⁻¹ Uᵀ y over the singular values above the cut-off.

    `x` (n, p), `y` (n,). Golub & Van Loan, Matrix Computations, 4th ed., section 5.5.
    """
    design, scale = _design(x)
    u, s, vt = scipy.linalg.svd(design, full_matrices=False)
    kept = s > RCOND * s[0]
    theta = vt[kept].T @ ((u[:, kept].T @ y) / s[kept])
    return _linear_fit(theta / scale)


def least_squares_pinv(x: FloatArray, y: FloatArray) -> LinearFit:
    """Least squares by the Moore-Penrose inverse, θ = [1 x]⁺ y, which equals ([1 x]ᵀ[1 x])⁻¹ [1 x]ᵀ y at full rank.

    `x` (n, p), `y` (n,). Penrose, "On best approximate solutions of linear matrix equations", 1956.
    """
    design, scale = _design(x)
    theta: FloatArray = np.linalg.pinv(design, rcond=RCOND) @ y
    return _linear_fit(theta / scale)


def ridge_closed_form(x: FloatArray, y: FloatArray) -> LinearFit:
    """Ridge: minimise ‖y - a - x b‖² + λ‖b‖² with λ = `RIDGE_PENALTY` on the coefficients and none on the intercept.

    `x` (n, p), `y` (n,). With x and y centred, (xᵀx + λI) b = xᵀy; Hoerl & Kennard, "Ridge regression", 1970. Solved through
    x = U S Vᵀ as b = V S (S² + λ)⁻¹ Uᵀ y, so that xᵀx, whose condition is that of x squared, is never formed.
    """
    x_mean, y_mean = x.mean(axis=0), float(y.mean())
    u, s, vt = np.linalg.svd(x - x_mean, full_matrices=False)
    coefficients: FloatArray = vt.T @ (s / (s**2 + RIDGE_PENALTY) * (u.T @ (y - y_mean)))
    return LinearFit(intercept=y_mean - float(x_mean @ coefficients), coefficients=coefficients)


def _design(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[1 x] of shape (n, p + 1) with each column over its scale, and the scales (p + 1,): root mean squares, 1 for zeros."""
    design = np.column_stack([np.ones(len(x)), x])
    largest = np.abs(design).max(axis=0)
    largest[largest == 0] = 1.0
    scale = largest * np.sqrt(np.mean((design / largest) ** 2, axis=0))
    scale[scale == 0] = 1.0
    return design / scale, scale


def _linear_fit(theta: FloatArray) -> LinearFit:
    return LinearFit(intercept=float(theta[0]), coefficients=theta[1:])
