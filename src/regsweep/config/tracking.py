"""Schema of the `tracking` group: where records, databases and models go."""

from __future__ import annotations

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from regsweep.config.base import Model


class TrackingConfig(Model):
    """The workspace `dir` holds records and Optuna's database, and MLflow's runs unless a tracking server at `uri` takes them.

    `models`: which trials MLflow gets a model of: `all`, `none`, or `top:K`, the K best by the objective.
    """

    kind: Literal["local", "server"]
    dir: str
    uri: str | None = None
    models: str = "all"

    @field_validator("uri")
    @classmethod
    def _address(cls, uri: str | None) -> str | None:
        if uri is not None and not _is_server(uri):
            raise ValueError(f"a tracking server's address is needed, such as http://127.0.0.1:5000, but got {uri!r}")
        return uri

    @field_validator("models")
    @classmethod
    def _which(cls, models: str) -> str:
        if not re.fullmatch(r"all|none|top:[1-9]\d*", models, re.ASCII):
            raise ValueError(
                f"must be all, none or top:K with a whole number K of at least 1, such as top:10, but got {models!r}"
            )
        return models

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.kind == "server" and self.uri is None:
            raise ValueError("kind server needs the server's address: tracking=server tracking.uri=http://127.0.0.1:5000")
        if self.kind == "local" and self.uri is not None:
            raise ValueError(f"kind local has no server, but uri is {self.uri!r}: add tracking=server, or leave uri out")
        return self


def _is_server(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", uri)
    except ValueError:
        # The port is no number, or too large.
        return False
