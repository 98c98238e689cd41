"""How a network lies in one row of a stack: kernel and bias of each layer, padded with zeros to the form's widths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from regsweep.train.plan import Form
from regsweep.trial import Array32, Network


class Layout:
    """Packs networks of a form into rows of shape (P,) and unpacks them."""

    def __init__(self, form: Form) -> None:
        dims = (form.inputs, *form.widths, 1)
        self.dims = np.array(dims, np.int32)
        self._shapes = list(pairwise(dims))
        self.parameters = form.parameters

    def pack(self, kernels: Sequence[Array32], biases: Sequence[Array32 | float]) -> Array32:
        """One row; a bias may be one number for all of a layer's units."""
        row, start = np.zeros(self.parameters, np.float32), 0
        for (fan_in, fan_out), kernel, bias in zip(self._shapes, kernels, biases, strict=True):
            rows, units = kernel.shape
            row[start : start + fan_in * fan_out].reshape(fan_in, fan_out)[:rows, :units] = kernel
            start += fan_in * fan_out
            row[start : start + units] = bias
            start += fan_out
        return row

    def unpack(self, row: Array32, widths: Sequence[int]) -> Network:
        """The network of these widths, without its padding."""
        kernels, biases, start, rows = [], [], 0, int(self.dims[0])
        for (fan_in, fan_out), units in zip(self._shapes, (*widths, 1), strict=True):
            kernels.append(row[start : start + fan_in * fan_out].reshape(fan_in, fan_out)[:rows, :units].copy())
            start += fan_in * fan_out
            biases.append(row[start : start + units].copy())
            start, rows = start + fan_out, units
        return Network(tuple(kernels), tuple(biases))
