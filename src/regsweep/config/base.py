"""What every part of the schema shares: frozen, unknown keys refused, no silent conversions."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Model(BaseModel):
    """A frozen part of the configuration. Unknown keys and NaN are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


def _whole(value: object) -> object:
    # pydantic turns True into 1 and 3.0 into 3; a seed or a count written so is a mistake.
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"a whole number is needed, but got {value!r}")
    return value


# scikit-learn takes seeds of 32 bits.
Seed = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=2**32 - 1)]

Count = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
