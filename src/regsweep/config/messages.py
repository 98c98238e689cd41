"""Turns what Hydra and pydantic raise into lines a user can act on: where, what, the value, what to do."""

from __future__ import annotations

import types
import typing
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from regsweep.errors import nearest

# Of a value that may be any of them.
_TYPES: Final = (("int",), ("float",), ("str",))


def composition_problem(error: Exception) -> str:
    """Say in one line what kept Hydra from composing."""
    from hydra.errors import MissingConfigException
    from omegaconf.errors import InterpolationResolutionError
    from yaml import MarkedYAMLError

    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: is no plain YAML ({error.problem}); correct it, and take tags (!...) out"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if not group:
            return f"there is no config group {option!r}"
        options = [name for name in error.options or () if not name.startswith((".", "_"))]
        known = f"; known: {', '.join(sorted(options))}" if options else ""
        return f"{group}={option}: there is no such option{nearest(option, options)}{known}"
    text = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
    if isinstance(error, InterpolationResolutionError) and error.full_key:
        text = f"{error.full_key}: {text}"
    cause = error.__cause__
    return f"{text} ({str(cause).splitlines()[0]})" if cause is not None and str(cause) and str(cause) not in text else text


def validation_problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """List every problem as `where: what`, with the nearest known key for an unknown one."""
    return list(dict.fromkeys(line for item in _told_once(error.errors(include_url=False)) for line in _lines(item, model)))


def _told_once(items: Sequence[Any]) -> Iterator[Any]:
    """The problems, those of a number or text as one: pydantic tells one for each type that it could have been."""
    places = Counter(item["loc"][:-1] for item in items if item["loc"][-1:] in _TYPES)
    for item in items:
        if item["loc"][-1:] in _TYPES and places[item["loc"][:-1]] == len(_TYPES):
            yield {**item, "loc": item["loc"][:-1], "type": "scalar"}
        else:
            yield item


def secret_problem(key: str, what: str) -> str:
    """Say what of a secret stands under a key, and where it belongs instead."""
    remedy = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, PGPASSWORD or ~/.pgpass"
    if key.startswith("dataset."):
        remedy += "; a file that needs one: download it yourself and name its folder with dataset.folder"
    return f"{key}: {what}, and a config is written into records; leave it out and use {remedy}"


def _lines(item: Any, model: type[BaseModel]) -> Iterator[str]:
    raw = tuple(item["loc"])
    where, keys = _place(raw, model)
    value, context = item["input"], item.get("ctx", {})
    match item["type"]:
        case "extra_forbidden":
            hint = nearest(str(raw[-1]), keys) or f"; known here: {', '.join(sorted(keys))}"
            yield f"{where}: there is no such key{hint}"
        case "missing":
            yield f"{where}: is needed, but not given"
        case "value_error":
            for line in str(context["error"]).splitlines():
                yield f"{where}: {line}" if where else line
        case "union_tag_invalid":
            yield f"{where}: {context['discriminator']} must be one of {context['expected_tags']}, but got {context['tag']!r}"
        case "union_tag_not_found":
            yield f"{where}: {context['discriminator']} is needed, but not given"
        case "literal_error":
            expected = [part.strip("' ") for part in context["expected"].replace(" or ", ", ").split(", ")]
            yield f"{where}: must be one of {', '.join(expected)}{nearest(str(value), expected)}, but got {value!r}"
        case "scalar":
            yield f"{where}: must be a number or a text, but got {'null' if value is None else repr(value)}"
        case _ if value is None:
            yield f"{where}: is needed, but got null"
        case _:
            message = item["msg"].partition(", unable")[0].replace("Input should be", "must be")
            message = message.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
            yield f"{where}: {message}, but got {value!r}"


def _place(location: tuple[Any, ...], model: type[BaseModel]) -> tuple[str, list[str]]:
    """Return the dotted key without pydantic's union tags, and the keys known at that level."""
    parts, _ = _walk(location, model)
    _, levels = _walk(location[:-1], model)
    return ".".join(parts), [name for level in levels for name in level.model_fields]


def _walk(location: tuple[Any, ...], model: type[BaseModel]) -> tuple[list[str], list[type[BaseModel]]]:
    """Follow a location through the schema: the keys on the way, and the models (several of a union) at its end."""
    parts: list[str] = []
    levels: list[type[BaseModel]] = [model]
    for part in location:
        tagged = [level for level in levels if _tag_matches(level, part)]
        if len(levels) > 1 and tagged:
            levels = tagged
            continue
        parts.append(str(part))
        fields = {name: field.annotation for level in levels for name, field in level.model_fields.items()}
        if part in fields:
            levels = list(_models(fields[part]))
    return parts, levels


def _tag_matches(level: type[BaseModel], part: object) -> bool:
    for tag in ("kind", "type"):
        if tag in level.model_fields and part in typing.get_args(level.model_fields[tag].annotation):
            return True
    return False


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated, dict, tuple):
        for part in typing.get_args(annotation):
            yield from _models(part)
