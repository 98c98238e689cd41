"""How the objective depends on two hyperparameters, the others averaged out: partial dependence of a random forest.

In: records and two names. Out: the grid and the mean prediction at each of its points, as plain values. Main call: `surface`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from regsweep.config.parameters import Choice, Fixed, FloatRange, IntRange, Parameter, holds
from regsweep.config.space import SpaceConfig, name_and_layer
from regsweep.metrics import evenly_chosen, fenced, unit_factor
from regsweep.record import TrialRecord
from regsweep.space import as_seen, middle_of, parameter_of
from regsweep.trial import Scalar, higher_is_better

FEWEST: Final = 10
TREES: Final = 64
# Points along an axis of real numbers, and trials whose other hyperparameters are averaged over.
POINTS: Final = 24
BACKGROUND: Final = 60

FloatArray = npt.NDArray[np.float64]


def surface(records: Sequence[TrialRecord], objective: str, names: Sequence[str], *, seed: int) -> dict[str, Any] | None:
    """The objective over the two hyperparameters `names`, `mean[row][column]` belonging to `y[row]` and `x[column]`.

    The forest of 64 trees learns from the complete trials that have both; objectives worse than Tukey's fence are learnt as
    the fence. Its predictions are averaged over the other hyperparameters of those trials (Friedman 2001), of at most 60 of
    them, evenly chosen. None where fewer than ten trials have both, there are not two names, or no values of one meet the other.
    """
    if len(names) != 2:
        return None
    both = [record for record in records if record.result.score(objective) is not None and {*names} <= {*record.params}]
    values = np.array([record.result.score(objective) for record in both], dtype=np.float64)
    if len(both) < FEWEST or len(np.unique(values)) < 2:
        return None
    from sklearn.ensemble import RandomForestRegressor

    space = as_seen(both[0].facts.config.space, [record.params for record in both])
    keys = sorted({key for record in both for key in record.params if not isinstance(parameter_of(space, key), Fixed)})
    rows = [{key: record.params[key] if key in record.params else middle_of(space, key) for key in keys} for record in both]
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=seed, n_jobs=1)
    tamed = fenced(values, upward=higher_is_better(objective))
    factor = unit_factor(tamed)
    forest.fit(_encoded(space, keys, rows), factor * tamed)
    background = [rows[index] for index in evenly_chosen(len(rows), BACKGROUND)]
    x, y = (_grid(space, name, other) for name, other in (names, reversed(names)))
    if not x or not y:
        return None
    asked = [{**row, names[0]: across, names[1]: along} for along in y for across in x for row in background]
    mean = forest.predict(_encoded(space, keys, asked)).reshape(len(y), len(x), len(background)).mean(axis=2) / factor
    return {"names": list(names), "trials": len(both), "x": x, "y": y, "mean": mean.tolist()}


def _grid(space: SpaceConfig, name: str, other: str) -> list[Scalar]:
    """Values along an axis, where the other hyperparameter exists as far as that depends on this one."""
    related = parameter_of(space, other)
    when = related.when if related is not None and related.when is not None and related.when.parameter == name else None
    # A function's names mean what its author likes.
    least = name_and_layer(other)[1] if name == "depth" and space.function is None else 0
    parameter = parameter_of(space, name)
    values = _values_of(parameter)
    if when is not None and when.one_of is not None and isinstance(parameter, IntRange | FloatRange):
        # Points along a range meet single values by chance.
        values = sorted(value for value in when.one_of if not isinstance(value, str) and holds(parameter, value))
    return [value for value in values if (when is None or when.holds({name: value})) and (not least or int(value) >= least)]


def _values_of(parameter: Parameter | None) -> list[Scalar]:
    match parameter:
        case Choice():
            return list(parameter.choices)
        case IntRange() if (parameter.high - parameter.low) // parameter.step < POINTS and not parameter.log:
            return list(range(parameter.low, parameter.high + 1, parameter.step))
        case IntRange() | FloatRange():
            ends = (float(parameter.low), float(parameter.high))
            spaced: list[Scalar] = (np.geomspace if parameter.log else np.linspace)(*ends, POINTS).tolist()
            return spaced
    raise TypeError(f"a hyperparameter without a choice has no axis, but got {parameter!r}")


def _encoded(space: SpaceConfig, keys: Sequence[str], rows: Sequence[Mapping[str, Scalar]]) -> FloatArray:
    """Numbers as they are, which is all that trees ask of a scale; a column of 0 and 1 per choice."""
    columns: list[npt.ArrayLike] = []
    for key in keys:
        parameter: Parameter | None = parameter_of(space, key)
        if isinstance(parameter, Choice):
            columns += [[float(row[key] == choice) for row in rows] for choice in parameter.choices]
        else:
            columns.append([float(row[key]) for row in rows])
    return np.array(columns, dtype=np.float64).T
