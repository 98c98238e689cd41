"""Schema of the `dataset` group: where a table comes from, and what its columns mean."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from regsweep.config.base import Model, Seed
from regsweep.paths import expanded


def _absolute(path: str) -> str:
    return str(expanded(path).absolute())


def _column(name: object) -> object:
    # Hydra reads the name of a year's column as a number.
    if isinstance(name, float):
        # 1e3 and 1000.0 are one to it.
        raise ValueError(f"was read as the number {name}; quote a name that looks like one: '\"1.5\"'")
    return str(name) if isinstance(name, int) and not isinstance(name, bool) else name


# Records keep these, and a study may be reproduced from another working directory.
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
ColumnName = Annotated[str, BeforeValidator(_column)]


def _bare(name: str) -> str:
    # It is a record's, too, which may be another person's: joined to a folder, it must stay there.
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"must be the name of a file, without folders, but got {name!r}")
    return name


class _Table(Model):
    """What every data set tells about itself.

    `drop`: columns that are no features. `time` and `group`: columns that order or group rows for the split; no features either.
    `strict`: a feature that gives the target away is refused, not only reported.
    """

    name: str
    target: ColumnName
    unit: str
    licence: str
    source: str
    drop: tuple[ColumnName, ...]
    time: ColumnName | None
    group: ColumnName | None
    strict: bool


class ScikitLearnDataset(_Table):
    """A data set that scikit-learn carries."""

    kind: Literal["scikit_learn"]
    loader: Literal["load_diabetes"]


class DownloadDataset(_Table):
    """A file fetched once from a pinned address, or taken from an offline folder, and checked against its sha256."""

    kind: Literal["download"]
    url: str
    file: Annotated[str, AfterValidator(_bare)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    folder: Annotated[AbsolutePath | None, BeforeValidator(lambda folder: folder or None)]


class MakeRegressionDataset(_Table):
    """`sklearn.datasets.make_regression` with one feature, seen straight, cubed or through a sine.

    `line`: x, y as made. `cube`: x cubed. `sine`: x is the made y, the target is sin(4 x) of the made x. `sine_of_x`: x as made,
    the target is its sin(4 x), whatever the noise.
    """

    kind: Literal["make_regression"]
    shape: Literal["line", "cube", "sine", "sine_of_x"]
    n_samples: Annotated[int, Field(ge=10)]
    noise: Annotated[float, Field(ge=0)]
    bias: float
    random_state: Seed


class BlobsDataset(_Table):
    """`sklearn.datasets.make_blobs`: normal clouds of points around `centers`, with the standard deviation `cluster_std`.

    Features are x1, x2, ...; a row's target is its center's class, by position in `classes`.
    """

    kind: Literal["blobs"]
    centers: Annotated[tuple[Annotated[tuple[float, ...], Field(min_length=1)], ...], Field(min_length=2)]
    classes: tuple[Literal[0, 1], ...]
    cluster_std: Annotated[float, Field(gt=0)]
    n_samples: Annotated[int, Field(ge=10)]
    random_state: Seed

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.classes) != len(self.centers):
            raise ValueError(f"classes: each center needs one, but got {len(self.classes)} for {len(self.centers)} centers")
        if len({len(center) for center in self.centers}) > 1:
            raise ValueError(f"centers: all need equally many coordinates, but got {[list(center) for center in self.centers]}")
        if self.target in {f"x{index + 1}" for index in range(len(self.centers[0]))}:
            raise ValueError(f"target: {self.target} is a feature; choose another name")
        return self


class LinearDataset(_Table):
    """y = x · coefficients + intercept + noise · e, with features uniform on `low` to `high` and e standard normal.

    The features are called as `names` says; by default `x`, or `x1`, `x2`, ... where there are several.
    """

    kind: Literal["linear"]
    coefficients: Annotated[tuple[float, ...], Field(min_length=1)]
    intercept: float
    noise: Annotated[float, Field(ge=0)]
    low: float
    high: float
    n_samples: Annotated[int, Field(ge=10)]
    random_state: Seed
    names: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low < high must hold, but got low={self.low}, high={self.high}")
        if len(self.features) != len(self.coefficients):
            raise ValueError(f"names must be as many as coefficients, but got {len(self.features)} and {len(self.coefficients)}")
        if len({*self.features, self.target}) <= len(self.features):
            raise ValueError(f"names must differ from each other and from the target {self.target!r}, but got {self.features}")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """What the features are called."""
        if self.names is not None:
            return self.names
        count = len(self.coefficients)
        return ("x",) if count == 1 else tuple(f"x{place}" for place in range(1, count + 1))


class FileDataset(_Table):
    """A user's own table."""

    kind: Literal["csv", "parquet"]
    path: AbsolutePath
    separator: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","


DatasetConfig = Annotated[
    ScikitLearnDataset | DownloadDataset | MakeRegressionDataset | LinearDataset | BlobsDataset | FileDataset,
    Field(discriminator="kind"),
]
