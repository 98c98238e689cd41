"""A user's function that draws trials: found, called, and what it returns turned into hyperparameters.

In: a space with a `function`, and a suggester. Out: a `Drawn`: what was drawn by the user's names, and the hyperparameters that
follow from it. Main calls: `call`, `values_of`. The function must return the same for the same values: a trial is what was drawn.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from regsweep.config.function import digest, locate
from regsweep.config.parameters import Choice, Fixed, Found, IntRange, step_of, stepless, value_problems, widened
from regsweep.config.space import KNOWN, SpaceConfig, name_and_layer
from regsweep.errors import ConfigError, nearest
from regsweep.space.hyperparameters import HyperParameters
from regsweep.space.network import Reading, UnreadableModelError, looks_like_model, read_network
from regsweep.space.suggesters import End, Given, Middle, OutsideError, Random, Suggester
from regsweep.trial import Scalar

# What a function draws from is found by calling it so many times with random values, and with the middles and ends.
TRIES = 64
# What follows from drawn values is asked for when a trial is proposed, trained and told: so many are remembered.
REMEMBERED = 1024
PURE = "let it depend on nothing but what it draws"
# What a model does not say; drawn or not, it is a hyperparameter by its name.
BESIDE_MODEL = ("epochs", "batch_size", "schedule", "encoding")


@dataclass(frozen=True)
class Drawn:
    """One call of a function: `params` as drawn and from what (`kinds`), the hyperparameters' `values`; a model's `reading`."""

    params: Mapping[str, Scalar]
    kinds: Mapping[str, Found]
    values: Mapping[str, Scalar]
    reading: Reading | None = None


_remembered: dict[tuple[str, str | None, frozenset[tuple[str, Scalar]], frozenset[tuple[str, str]]], Drawn] = {}
_loaded: dict[tuple[str, str], Callable[[Any], Any]] = {}
# By module: the sha256 of its file when it was imported.
_imported: dict[str, str] = {}


def call(space: SpaceConfig, suggester: Suggester, advice: str = PURE) -> Drawn:
    """Have the function draw. Raises ConfigError where it can't be had, raises, or returns what can't be trained.

    The advice is for who suggested what the function does not draw.
    """
    function, drawing = load(str(space.function), space.source), HyperParameters(suggester)
    try:
        outcome = function(drawing)
    except OutsideError as error:
        raise ConfigError(f"{_name(space)}: {error}; {advice}") from None
    except (Exception, SystemExit) as error:
        # Whatever a user's function raises is told by what it was given.
        raise ConfigError(_raised(space, error, drawing)) from error
    values, reading, problems = _read(space, outcome, drawing)
    if problems:
        raise ConfigError([f"{_name(space)}: {problem}{_at(drawing)}" for problem in problems])
    drawn = Drawn(drawing.params, drawing.distributions, values, reading)
    if len(_remembered) >= REMEMBERED:
        _remembered.clear()
    _remembered[_key(space, drawn.params)] = drawn
    return drawn


def again(space: SpaceConfig, params: Mapping[str, Scalar]) -> Drawn:
    """What the function had drawn when it drew these. Raises ConfigError as `call`, and where it draws other names now."""
    if (known := _remembered.get(_key(space, params))) is not None:
        return known
    drawn = call(space, Given(params))
    if left := [name for name in params if name not in drawn.params]:
        listed = ", ".join(f"{name}={value!r}" for name, value in params.items())
        raise ConfigError(f"{_name(space)}: drew {listed} before, but does not draw {left[0]!r} now; {PURE}")
    return drawn


def values_of(space: SpaceConfig, params: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    """The hyperparameters of a trial by what was drawn: the same, but where a function draws."""
    return params if space.function is None else again(space, params).values


@lru_cache(maxsize=8)
def _explored(space_json: str) -> tuple[Drawn, ...]:
    space = SpaceConfig.model_validate_json(space_json)
    at_random = Random(0)
    suggesters: list[Suggester] = [Middle(), End(upper=False), End(upper=True), *(at_random for _ in range(TRIES))]
    return tuple(call(space, suggester) for suggester in suggesters)


def explored(space: SpaceConfig) -> tuple[Drawn, ...]:
    """What the function draws when it is tried: the middle of its ranges first. The same in every process."""
    # What was found before is no part of it.
    return _explored(space.model_copy(update={"found": {}, "always": ()}).model_dump_json())


def found_in(drawn: Sequence[Drawn]) -> dict[str, Found]:
    """What these calls drew from, by name, in the order of first sight; of ranges that vary the widest."""
    found: dict[str, Found] = {}
    for one in drawn:
        for name, kind in one.kinds.items():
            found[name] = _wider(found[name], kind) if name in found else kind
    return found


def _wider(a: Found, b: Found) -> Found:
    if isinstance(a, Choice) and isinstance(b, Choice):
        return a.model_copy(update={"choices": tuple(dict.fromkeys([*a.choices, *b.choices]))})
    if isinstance(a, Choice) or isinstance(b, Choice) or isinstance(a, IntRange) != isinstance(b, IntRange):
        return a
    return widened(a if step_of(a) == step_of(b) else stepless(a, a.low, a.high), b.low, b.high)


def load(function: str, source: str | None) -> Callable[[Any], Any]:
    """Import the function. Raises ConfigError where there is none, or where its file is not the one of that sha256."""
    if source is not None and (known := _loaded.get((function, source))) is not None:
        # A file may be edited while a study runs: that goes on with what it began with.
        return known
    place = locate(function)
    if source is not None and (now := digest(place)) != source:
        raise ConfigError(
            f"space.function={function}: {place} has changed: its sha256 is {now[:12]}..., the study's {source[:12]}...; "
            "restore the file, or run the command as a study of its own"
        )
    found = _imported_function(function, str(place), digest(place))
    if source is not None:
        _loaded[function, source] = found
    return found


def _imported_function(function: str, place: str, sha256: str) -> Callable[[Any], Any]:
    name, _, attributes = function.partition(":")
    what = f"space.function={function}"
    # No bytecode beside the user's file: Python tells a stale one by second and size.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        known = sys.modules.get(name)
        module = importlib.import_module(name)
        if known is not None and _imported.get(name, sha256) != sha256:
            module = importlib.reload(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{what}: {place} can't be imported: {_said(error)}{_line_of(error, place)}; correct it") from error
    finally:
        sys.dont_write_bytecode = written
    _imported[name] = sha256
    found: Any = module
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            known_names = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
            hint = nearest(attribute, known_names)
            raise ConfigError(f"{what}: {place} has no {attribute!r}{hint}; name a function that it defines")
        found = getattr(found, attribute)
    if isinstance(found, type) or not callable(found):
        kind = "a class" if isinstance(found, type) else f"{type(found).__name__}"
        raise ConfigError(
            f"{what}: is {kind}, not a function of one argument, the trial or hp; name one (an object's method, too)"
        )
    called: Callable[[Any], Any] = found
    return called


def _read(space: SpaceConfig, outcome: Any, drawing: HyperParameters) -> tuple[dict[str, Scalar], Reading | None, list[str]]:
    reading = None
    if isinstance(outcome, Mapping):
        given = {str(key): value for key, value in outcome.items()}
    elif looks_like_model(outcome):
        try:
            reading = read_network(outcome)
        except UnreadableModelError as error:
            return {}, None, [str(error)]
        given = {**{name: drawing.values[name] for name in BESIDE_MODEL if name in drawing.values}, **reading.values}
    else:
        kind = "nothing" if outcome is None else f"{type(outcome).__name__}: {outcome!r:.60}"
        return {}, None, [f"returned {kind}; a dict of hyperparameters or a compiled Keras model is needed"]
    plain = {key: _plain(value) for key, value in given.items()}
    problems = list(_problems(plain)) or list(_problems_of_layers(space, plain))
    return ({} if problems else _filled(space, plain)), reading, problems


def _problems(given: Mapping[str, Any]) -> Iterator[str]:
    for key, value in given.items():
        name = name_and_layer(key)[0]
        if name not in KNOWN:
            yield f"returned {key!r}, which is no hyperparameter{nearest(key, KNOWN)}; known: {', '.join(KNOWN)}"
        elif isinstance(value, bool) or not isinstance(value, int | float | str):
            yield f"returned {key}={value!r}; a number or a text is needed"
        elif not isinstance(value, str) and not math.isfinite(value):
            yield f"returned {key}={value!r}; a finite number is needed"
        else:
            yield from (f"returned {key}: {problem}" for problem in value_problems(name, Fixed(type="fixed", value=value)))
    layers = [name_and_layer(key)[1] for key in given]
    if (missing := _lacking(given, max(layers, default=0))) is not None:
        yield f"returned no {missing}, but values of layers beyond it"


def _lacking(given: Mapping[str, Any], deepest: int) -> str | None:
    """A layer's width that is missing below a width of a deeper one."""
    widths = [layer for layer in range(1, deepest + 1) if f"width_{layer}" in given]
    if not widths or "width" in given:
        return None
    return next((f"width_{layer}" for layer in range(1, max(widths)) if layer not in widths), None)


def _problems_of_layers(space: SpaceConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """What is said of single layers and would be lost, or is said of some and not of others."""
    depth = _depth(space, given)
    widths = [layer for layer in range(1, depth + 1) if f"width_{layer}" in given]
    if widths and "width" not in given and len(widths) < depth:
        lacking = next(layer for layer in range(1, depth + 1) if layer not in widths)
        yield f"returned depth={depth} and no width_{lacking}, but widths of other layers; return all, or width for the rest"
    # Where a depth is returned, what lies beyond it was drawn for deeper networks.
    if "depth" not in given and (beyond := next((key for key in given if name_and_layer(key)[1] > depth), None)):
        yield f"returned {beyond!r}, but neither depth nor a width of that layer; return depth, too"


def _depth(space: SpaceConfig, given: Mapping[str, Any]) -> int:
    """The depth returned, or as many as there are widths, or the space's."""
    widths = sum(1 for key in given if re.fullmatch(r"width_\d+", key))
    return int(given.get("depth", widths or space.parameters["depth"].values()[0]))


def _filled(space: SpaceConfig, given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """All that a spec needs: what was returned, and the space's values of what was not."""
    constants = {name: parameter.value for name, parameter in space.parameters.items() if isinstance(parameter, Fixed)}
    depth = _depth(space, given)
    values = {
        key: value
        for key, value in {**constants, **given}.items()
        if name_and_layer(key)[0] not in ("width", "activation", "dropout")
    }
    values["depth"] = depth
    for name in ("width", "activation", "dropout"):
        shared = given.get(name, constants.get(name, 0.0))
        if depth and not any(f"{name}_{layer}" in given for layer in range(1, depth + 1)):
            values[name] = shared
            continue
        for layer in range(1, depth + 1):
            values[f"{name}_{layer}"] = given.get(f"{name}_{layer}", shared)
    return values


def _plain(value: Any) -> Any:
    """A Python number for one of NumPy's."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _key(space: SpaceConfig, params: Mapping[str, Scalar]) -> Any:
    constants = frozenset((name, str(parameter.values())) for name, parameter in space.parameters.items())
    return str(space.function), space.source, frozenset(params.items()), constants


def _name(space: SpaceConfig) -> str:
    return f"space.function={space.function}"


def _raised(space: SpaceConfig, error: BaseException, drawing: HyperParameters) -> str:
    place = locate(str(space.function))
    return f"{_name(space)}: raised {_said(error)}{_line_of(error, str(place))}{_at(drawing)}; correct it"


def _said(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_of(error: BaseException, place: str) -> str:
    """Where in the user's file it happened."""
    if isinstance(error, SyntaxError) and error.filename == place:
        return f" ({Path(place).name}, line {error.lineno})"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == place]
    return f" ({Path(place).name}, line {lines[-1]})" if lines else ""


def _at(drawing: HyperParameters) -> str:
    return "".join([", at ", ", ".join(f"{key}={value!r}" for key, value in drawing.params.items())]) if drawing.params else ""
