"""A trained model as NumPy sees it: raw table in, predictions in target units out.

This file is also the code of every logged MLflow model, where regsweep is not installed: it imports NumPy and pandas only, and
skops where a member is a scikit-learn estimator. `model.json` holds the members (columns, activations, target scale),
`weights.npz` their arrays. A model with several members (one per fold and trial) answers with their weighted mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

FORMAT = "regsweep-model/2"

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

# The only texts that mean "missing". "None" and "-" are not among them: they are levels in real tables.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-nan", "null", "NULL", "Null")

# As training reads them.
BOOLEANS = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}

# What skops may make of an estimator's file besides scikit-learn's public classes. Each was looked at: arrays of trees, of
# neighbours and of a split, and nothing that runs what the file says.
TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.model_selection._split.KFold",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)


# Farther than so many scales away no digit of the training rows is left, and float32, which networks and trees compute in, ends
# soon: -3.4e38 stands for "missing" in some tables.
FAR = 1e15


@dataclass(frozen=True)
class NumberColumn:
    """A number (dates: days since 1970-01-01), imputed with `fill`, then (x - shift) / scale, `FAR` at most; maybe with a missing
    indicator.
    """

    name: str
    shift: float
    scale: float
    fill: float
    indicator: bool
    date: bool

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def encode(self, values: pd.Series) -> Array64:
        """Return shape (n, 1 or 2). Raises ValueError for text that is no number and for infinite values."""
        numbers = _finite(self.name, values, date=self.date)
        missing = np.isnan(numbers)
        scaled = np.clip((np.where(missing, self.fill, numbers) - self.shift) / self.scale, -FAR, FAR)
        return np.column_stack([scaled, missing.astype(np.float64)] if self.indicator else [scaled])


@dataclass(frozen=True)
class SegmentsColumn:
    """Piecewise-linear encoding of a number (Gorishniy, Rubachev and Babenko 2022, section 3.2.1), centred.

    For each segment between two `edges` the part of it that lies below the value, 0 to 1, less `centre`; the first and the last
    segment go on beyond their edges. Missing values count as `fill`.
    """

    name: str
    edges: tuple[float, ...]
    centre: tuple[float, ...]
    fill: float
    date: bool

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(f"{self.name} in {low:.4g}..{high:.4g}" for low, high in zip(self.edges, self.edges[1:], strict=False))

    def encode(self, values: pd.Series) -> Array64:
        """Return shape (n, segments). Raises ValueError as numbers do."""
        numbers = _finite(self.name, values, date=self.date)
        filled = np.where(np.isnan(numbers), self.fill, numbers)[:, None]
        edges = np.array(self.edges)
        parts = (filled - edges[:-1]) / np.diff(edges)
        parts[:, 1:] = np.maximum(parts[:, 1:], 0)
        parts[:, :-1] = np.minimum(parts[:, :-1], 1)
        centred: Array64 = np.clip(parts, -FAR, FAR) - np.array(self.centre)
        return centred


@dataclass(frozen=True)
class CategoryColumn:
    """One-hot over the training levels. `unknown` is the bucket for unseen values: the training rows' mean code.

    Missing values have a level of their own where training rows missed some, else they go to the bucket. The mean code
    makes an unseen value an average one; a column that is constant in training would leave its weights untrained.
    """

    name: str
    levels: tuple[str, ...]
    missing_level: bool
    unknown: tuple[float, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        names = tuple(f"{self.name} = {level}" for level in self.levels)
        return (*names, f"{self.name} is missing") if self.missing_level else names

    def encode(self, values: pd.Series) -> Array64:
        """Return shape (n, levels) or (n, levels + 1)."""
        width = len(self.unknown)
        missing = len(self.levels) if self.missing_level else width
        codes = _positions(self.levels, values, missing=missing, unknown=width).astype(np.int64)
        known = codes < width
        encoded = np.zeros((len(values), width))
        encoded[known, codes[known]] = 1.0
        encoded[~known] = self.unknown
        return encoded


@dataclass(frozen=True)
class OrdinalColumn:
    """A training level's position in sorted order as a number: (position - shift) / scale.

    Missing values have the position after the last level where training rows missed some. Else they count as unseen values do,
    as the position `unknown`: the training rows' mean.
    """

    name: str
    levels: tuple[str, ...]
    missing_level: bool
    shift: float
    scale: float
    unknown: float

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.name,)

    def encode(self, values: pd.Series) -> Array64:
        """Return shape (n, 1)."""
        missing = float(len(self.levels)) if self.missing_level else self.unknown
        found = _positions(self.levels, values, missing=missing, unknown=self.unknown)
        scaled: Array64 = (found[:, None] - self.shift) / self.scale
        return scaled


Column = NumberColumn | CategoryColumn | OrdinalColumn | SegmentsColumn


@dataclass(frozen=True)
class TargetScale:
    """How the network's output z stands to the target y: y = z * scale + shift, after exp(.) if `log`.

    `logistic`: z is a logit, and y the probability of class 1.
    """

    log: bool
    shift: float
    scale: float
    logistic: bool = False

    def to_units(self, z: npt.ArrayLike) -> Array64:
        y = np.asarray(z, dtype=np.float64) * self.scale + self.shift
        if self.logistic:
            return np.asarray(np.exp(-np.logaddexp(0.0, -y)), dtype=np.float64)
        return np.exp(y) if self.log else y

    def to_network(self, y: npt.ArrayLike) -> Array64:
        """What the network is trained on; of a class that is the class itself, 0 or 1."""
        values = np.asarray(y, dtype=np.float64)
        scaled: Array64 = ((np.log(values) if self.log else values) - self.shift) / self.scale
        return scaled


@dataclass(frozen=True)
class Member:
    """One network with the preprocessing that was fitted beside it.

    `kernels[i]` has shape (fan_in, fan_out), `biases[i]` shape (fan_out,); hidden layer i applies `activations[i]`, and the last
    layer is linear with one output.
    """

    columns: tuple[Column, ...]
    activations: tuple[str, ...]
    kernels: tuple[Array32, ...]
    biases: tuple[Array32, ...]
    target: TargetScale
    weight: float = 1.0

    @property
    def classes(self) -> bool:
        """Whether it answers with a probability."""
        return self.target.logistic

    @property
    def arrays(self) -> dict[str, Any]:
        return _named(self)

    def predict(self, frame: pd.DataFrame) -> Array64:
        return self.predict_encoded(encode(frame, self.columns))

    def predict_encoded(self, x: Array64) -> Array64:
        """Return predictions of shape (n,) in target units for encoded rows, shape (n, inputs)."""
        hidden = x.astype(np.float32)
        for activation, kernel, bias in zip(self.activations, self.kernels[:-1], self.biases[:-1], strict=True):
            hidden = ACTIVATIONS[activation](hidden @ kernel + bias)
        return self.target.to_units((hidden @ self.kernels[-1] + self.biases[-1])[:, 0])


@dataclass(frozen=True)
class LinearMember:
    """A closed-form baseline with the preprocessing that was fitted beside it: intercept + x · coefficients.

    `intercept` in target units, `coefficients` of shape (inputs,) in target units; all in float64.
    """

    columns: tuple[Column, ...]
    intercept: float
    coefficients: Array64
    weight: float = 1.0

    @property
    def classes(self) -> bool:
        """A line answers with a number."""
        return False

    @property
    def arrays(self) -> dict[str, Any]:
        return {"coefficients": self.coefficients}

    def predict_encoded(self, x: Array64) -> Array64:
        """Return predictions of shape (n,) in target units for encoded rows, shape (n, inputs)."""
        predicted: Array64 = self.intercept + x @ self.coefficients
        return predicted


@dataclass(frozen=True)
class EstimatorMember:
    """A scikit-learn baseline with the preprocessing that was fitted beside it; it takes scikit-learn and skops to predict.

    `packed`, shape (bytes,), is the file that skops wrote of the fitted estimator. Of `classes` it answers with the probability
    of 1, else in target units.
    """

    columns: tuple[Column, ...]
    classes: bool
    packed: Bytes
    weight: float = 1.0

    @property
    def arrays(self) -> dict[str, Any]:
        return {"estimator": self.packed}

    @cached_property
    def estimator(self) -> Any:
        """The fitted estimator. Raises skops's UntrustedTypesFoundException for a file that holds more than `TRUSTED`."""
        import skops.io

        return skops.io.loads(self.packed.tobytes(), trusted=list(TRUSTED))

    def predict_encoded(self, x: Array64) -> Array64:
        """Return predictions of shape (n,) for encoded rows, shape (n, inputs)."""
        return answers(self.estimator, x, classes=self.classes)


AnyMember = Member | LinearMember | EstimatorMember


@dataclass(frozen=True)
class Model:
    """What is saved, loaded and asked for predictions."""

    target: str
    unit: str
    members: tuple[AnyMember, ...]

    @property
    def networks(self) -> tuple[Member, ...]:
        """The members that are networks: all of them, or none of a baseline's."""
        return tuple(member for member in self.members if isinstance(member, Member))

    @property
    def packages(self) -> tuple[str, ...]:
        """What it takes to predict besides NumPy and pandas."""
        return ("scikit-learn", "skops") if any(isinstance(member, EstimatorMember) for member in self.members) else ()

    @property
    def arrays(self) -> dict[str, Any]:
        """The arrays of all members as `weights.npz` and records name them: `0/kernel/0`, `0/bias/0`, `1/coefficients`, ..."""
        return {f"{index}/{name}": array for index, member in enumerate(self.members) for name, array in member.arrays.items()}

    def predict(self, frame: pd.DataFrame) -> Array64:
        """Return predictions of shape (n,) in target units for raw rows. Raises ValueError for missing columns."""
        weights = [member.weight for member in self.members]
        # Networks of one fold share their columns.
        encoded = {columns: encode(frame, columns) for columns in {member.columns for member in self.members}}
        predictions = [member.predict_encoded(encoded[member.columns]) for member in self.members]
        mean: Array64 = np.average(predictions, axis=0, weights=weights)
        return mean

    def describe(self) -> dict[str, Any]:
        """All but the weights, as JSON values."""
        return {
            "format": FORMAT,
            "target": self.target,
            "unit": self.unit,
            "members": [_describe(m) for m in self.members],
        }

    def save(self, folder: Path) -> None:
        """Write `model.json` and `weights.npz` into an existing folder."""
        (folder / "model.json").write_text(json.dumps(self.describe(), indent=1, ensure_ascii=False), encoding="utf-8")
        np.savez(folder / "weights.npz", allow_pickle=False, **self.arrays)

    @staticmethod
    def load(description: Path, weights: Path) -> Model:
        """Read what `save` wrote. Raises ValueError for another format."""
        content = json.loads(description.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise ValueError(f"{description}: format {FORMAT} is needed, but got {content.get('format')!r}")
        with np.load(weights, allow_pickle=False) as arrays:
            return Model.join(content, arrays)

    @staticmethod
    def join(description: Mapping[str, Any], arrays: Mapping[str, Any]) -> Model:
        """Make a model of its description and packed weights."""
        members = tuple(_member(part, arrays, index) for index, part in enumerate(description["members"]))
        return Model(description["target"], description["unit"], members)


def blend(models: Sequence[tuple[Model, float]]) -> Model:
    """One model that predicts the mean of models of one target, weighted."""
    members = tuple(replace(member, weight=weight / len(model.members)) for model, weight in models for member in model.members)
    return replace(models[0][0], members=members)


def encode(frame: pd.DataFrame, columns: Sequence[Column]) -> Array64:
    """Encode raw rows, shape (n, columns), as numbers, shape (n, inputs)."""
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        raise ValueError(f"the table lacks {', '.join(map(repr, absent))}; it has {', '.join(map(repr, frame.columns))}")
    doubles = set(frame.columns[frame.columns.duplicated()])
    if twice := sorted({column.name for column in columns if column.name in doubles}):
        raise ValueError(f"the table has {', '.join(map(repr, twice))} more than once")
    parts = [column.encode(frame[column.name]) for column in columns]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(frame), 0))


def days(values: pd.Series) -> Array64:
    """Turn dates, or ISO texts of them, into days since 1970-01-01 (UTC); missing ones into NaN. Raises ValueError for others."""
    if (pd.api.types.is_numeric_dtype(values) or _kind(values) in ("integer", "floating", "mixed-integer-float")) and (
        values.notna().any()
    ):
        raise ValueError(f"a date is needed, but got {values.dropna().iloc[0]!r}")
    if not pd.api.types.is_datetime64_any_dtype(values):
        values = values.mask(blank(values))
    moments = pd.to_datetime(values, format="ISO8601", utc=True).dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    since = (moments - np.datetime64("1970-01-01", "us")) / np.timedelta64(1, "D")
    return np.asarray(np.where(np.isnat(moments), np.nan, since), dtype=np.float64)


KINDS: dict[str, Any] = {
    "number": NumberColumn,
    "category": CategoryColumn,
    "ordinal": OrdinalColumn,
    "segments": SegmentsColumn,
}


class Weighted(Protocol):
    """Anything with the weights of one network."""

    @property
    def kernels(self) -> tuple[Array32, ...]: ...

    @property
    def biases(self) -> tuple[Array32, ...]: ...


def pack(networks: Sequence[Weighted]) -> dict[str, Array32]:
    """Name the arrays of networks as `weights.npz` and records do: `0/kernel/0`, `0/bias/0`, ..."""
    return {f"{index}/{name}": array for index, network in enumerate(networks) for name, array in _named(network).items()}


def unpack(arrays: Mapping[str, Array32], index: int, layers: int) -> tuple[tuple[Array32, ...], tuple[Array32, ...]]:
    """Kernels and biases of one packed network."""
    kernels, biases = (tuple(arrays[f"{index}/{kind}/{layer}"] for layer in range(layers)) for kind in ("kernel", "bias"))
    return kernels, biases


def probability(classifier: Any, x: Array64) -> Array64:
    """A scikit-learn classifier's probability of class 1, shape (m,), for features of shape (m, p); 0 where it saw no 1."""
    found: Array64 = classifier.predict_proba(x)[:, np.flatnonzero(classifier.classes_ == 1)]
    return found[:, 0] if found.shape[1] else np.zeros(len(x))


def answers(estimator: Any, x: Array64, *, classes: bool) -> Array64:
    """What a fitted estimator predicts for features of shape (m, p), shape (m,): of `classes` the probability of 1."""
    if not len(x):
        # scikit-learn refuses no rows.
        return np.zeros(0)
    return probability(estimator, x) if classes else np.asarray(estimator.predict(x), dtype=np.float64)


def _named(network: Weighted) -> dict[str, Array32]:
    kinds = (("kernel", network.kernels), ("bias", network.biases))
    return {f"{kind}/{layer}": array for kind, arrays in kinds for layer, array in enumerate(arrays)}


def blank(values: pd.Series) -> pd.Series:
    """Which texts mean "missing"; spaces around them don't count."""
    return values.map(lambda value: isinstance(value, str) and value.strip() in MISSING).astype(bool)


def _positions(levels: Sequence[str], values: pd.Series, *, missing: float, unknown: float) -> Array64:
    """The position of every value among the levels. A number is found whose text another reading of the table has changed.

    Codes such as 01 are texts in a table that has 2A, too, and the number 1 in one that does not.
    """
    positions = {level: index for index, level in enumerate(levels)}
    numbers: dict[float, int] = {}
    for level, index in positions.items():
        with suppress(ValueError):
            numbers.setdefault(float(level), index)

    def position(value: Any) -> float:
        if pd.isna(value):
            return missing
        if (found := positions.get(str(value))) is not None:
            return found
        if isinstance(value, str):
            return missing if value.strip() in MISSING else unknown
        if isinstance(value, bool | np.bool_):
            texts = (str(value).upper(), str(value).lower())
            return next((float(positions[text]) for text in texts if text in positions), unknown)
        return numbers.get(value, unknown)

    return np.asarray([position(value) for value in values], dtype=np.float64)


def _kind(values: pd.Series) -> str:
    """What single values are where the column's type does not say, in pandas's words."""
    return str(pd.api.types.infer_dtype(values, skipna=True)) if values.dtype == object else ""


def _numbers(values: pd.Series) -> Array64:
    if _kind(values).startswith("timedelta"):
        values = pd.Series(pd.to_timedelta(values))
    if getattr(values.dtype, "kind", "") == "m":
        # Durations are days, as in training.
        return np.asarray(pd.to_timedelta(values).dt.total_seconds() / 86_400, dtype=np.float64)
    dated = isinstance(values.dtype, pd.PeriodDtype) or _kind(values) in ("datetime", "datetime64", "date", "period")
    if pd.api.types.is_datetime64_any_dtype(values) or dated:
        if values.notna().any():
            raise ValueError(f"a number is needed, but got the date {values.dropna().iloc[0]}")
        return np.full(len(values), np.nan)
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    known = values.mask(blank(values)).map(lambda value: BOOLEANS.get(value.strip(), value) if isinstance(value, str) else value)
    return np.asarray(pd.to_numeric(known), dtype=np.float64)


def _finite(name: str, values: pd.Series, *, date: bool) -> Array64:
    try:
        numbers = days(values) if date else _numbers(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {name!r}: {str(error).splitlines()[0]}") from None
    if np.isinf(numbers).any():
        raise ValueError(f"column {name!r} has an infinite value in row {int(np.isinf(numbers).argmax())}")
    return numbers


def _describe(member: AnyMember) -> dict[str, Any]:
    columns = {"columns": [describe_column(column) for column in member.columns]}
    match member:
        case Member():
            # Models of networks were written before there were others.
            says: dict[str, Any] = {"activations": list(member.activations), "target": describe_target(member.target)}
        case LinearMember():
            says = {"kind": "linear", "intercept": member.intercept}
        case EstimatorMember():
            says = {"kind": "estimator", "classes": member.classes}
    return {**columns, **says, "weight": member.weight}


def _member(part: Mapping[str, Any], arrays: Mapping[str, Any], index: int) -> AnyMember:
    columns = tuple(column_from(description) for description in part["columns"])
    match part.get("kind", "network"):
        case "linear":
            return LinearMember(columns, part["intercept"], arrays[f"{index}/coefficients"], part["weight"])
        case "estimator":
            return EstimatorMember(columns, part["classes"], arrays[f"{index}/estimator"], part["weight"])
        case _:
            activations = tuple(part["activations"])
            kernels, biases = unpack(arrays, index, len(activations) + 1)
            return Member(columns, activations, kernels, biases, TargetScale(**part["target"]), part["weight"])


def describe_target(target: TargetScale) -> dict[str, Any]:
    """A target scale's JSON form; models of numbers were written before there were those of classes."""
    return {key: value for key, value in asdict(target).items() if key != "logistic" or value}


def describe_column(column: Column) -> dict[str, Any]:
    """A column's JSON form."""
    return {"kind": next(kind for kind, made in KINDS.items() if isinstance(column, made)), **asdict(column)}


def column_from(description: Mapping[str, Any]) -> Column:
    """Rebuild a column from its JSON form."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in description.items() if key != "kind"
    }
    column: Column = KINDS[description["kind"]](**fields)
    return column


def _erf(x: Array32) -> Array32:
    # Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7, the accuracy of float32.
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    return np.asarray(np.sign(x) * (1 - series * np.exp(-x * x)), dtype=np.float32)


def _sigmoid(x: Array32) -> Array32:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)


def _elu(x: Array32) -> Array32:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


# Keras's definitions, with Keras's defaults (leaky_relu: slope 0.2; gelu: exact; selu: Klambauer et al. 2017).
ACTIVATIONS: dict[str, Callable[[Array32], Array32]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, np.float32(0.2) * x),
    "elu": _elu,
    "selu": lambda x: np.float32(1.0507009873554805) * np.where(x > 0, x, np.float32(1.6732632423543772) * _elu(x)),
    "gelu": lambda x: x * np.float32(0.5) * (1 + _erf(x * np.float32(1 / math.sqrt(2)))),
    "silu": lambda x: x * _sigmoid(x),
    "softplus": lambda x: np.logaddexp(x, np.float32(0)),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
}
