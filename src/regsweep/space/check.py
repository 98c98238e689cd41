"""What keeps a function from being searched, found by calling it before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from regsweep.config import StudyConfig
from regsweep.config.parameters import Choice, FloatRange, Found, IntRange, SteppedRange
from regsweep.config.space import SpaceConfig
from regsweep.errors import ConfigError, nearest
from regsweep.space.drawing import written
from regsweep.space.function import Drawn, call, explored, found_in
from regsweep.space.suggesters import End, Given, Middle, Random, Suggester
from regsweep.trial import Scalar

# Beside given values the middles and ends are tried, and so many random draws, before they are refused.
DRAWS = 20


def function_problems(config: StudyConfig, rows: int, inputs: Callable[[str], int]) -> list[str]:
    """What is wrong with a function on data of so many training rows, whose rows have so many numbers by encoding; a line each.

    Raises ConfigError where it can't be had, raises, or returns what can't be trained.
    """
    drawn, what = explored(config.space), f"space.function={config.space.function}"
    problems = [*_inconstant(config.space, drawn[0]), *_clashes(drawn), *_unfit(config, drawn, rows, inputs)]
    return [f"{what}: {problem}" for problem in problems] + list(_enqueue_problems(config))


def _inconstant(space: SpaceConfig, before: Drawn) -> Iterator[str]:
    now = call(space, Given(before.params, Middle()))
    if (now.params, now.values) != (before.params, before.values):
        then, other = before.values, now.values
        changed = next((key for key in {**then, **other} if then.get(key) != other.get(key)), "what it draws")
        yield (
            f"called twice with the same values, it returned {changed}={then.get(changed)!r} and {other.get(changed)!r}; "
            "let it depend on nothing but what it draws"
        )


def _clashes(drawn: Sequence[Drawn]) -> Iterator[str]:
    """Names that stand for different things: Optuna takes the same choices, and the same kind of number, in every trial."""
    if not any(one.params for one in drawn):
        yield "draws nothing, so there is nothing to search"
    known: dict[str, Found] = {}
    clashing: dict[str, Found] = {}
    for name, kind in (item for one in drawn for item in one.kinds.items()):
        first = known.setdefault(name, kind)
        if not _alike(first, kind):
            clashing.setdefault(name, kind)
    for name, kind in clashing.items():
        yield f"draws {name!r} from {written(known[name])} and from {written(kind)}; give each its own name"


def _alike(a: Found, b: Found) -> bool:
    if isinstance(a, Choice) or isinstance(b, Choice):
        return a == b
    return isinstance(a, IntRange) == isinstance(b, IntRange) and a.log == b.log


def _unfit(config: StudyConfig, drawn: Sequence[Drawn], rows: int, inputs: Callable[[str], int]) -> Iterator[str]:
    """What does not fit the data, the sampler or the pruner, as far as it shows: each once."""
    if (size := max(int(one.values["batch_size"]) for one in drawn)) > rows:
        yield f"batch_size goes up to {size}, but there are {rows} training rows; draw smaller ones"
    longest = max(int(one.values["epochs"]) for one in drawn)
    most = int(config.space.parameters["epochs"].values()[0])
    if config.pruner.kind == "hyperband" and longest > most:
        yield (f"epochs go up to {longest}, but pruner=hyperband is told of {most}; set space.parameters.epochs={longest}")
    kinds = found_in(drawn).items()
    endless = [name for name, kind in kinds if isinstance(kind, FloatRange) and not isinstance(kind, SteppedRange)]
    if config.sampler.kind == "brute_force" and endless:
        yield f"sampler=brute_force: {', '.join(endless)} can take any real number; give a step, or choices"
    for one in drawn:
        if (reading := one.reading) is None:
            continue
        if reading.task != config.task:
            yield f"the model's loss and last activation are for task={reading.task}, but this study has task={config.task}"
            return
        needed = inputs(str(one.values["encoding"]))
        if reading.inputs not in (None, needed):
            yield f"the model takes {reading.inputs} numbers in a row, but encoded rows have {needed}; leave the Input layer out"
            return


def given_problems(space: SpaceConfig, given: Mapping[str, Scalar]) -> list[str]:
    """Why the function draws nothing that has these values, whatever it draws beside them; [] if it does."""
    known = found_in(explored(space))
    first: list[str] = []
    at_random = Random(0)
    others: list[Suggester] = [Middle(), End(upper=False), End(upper=True), *(at_random for _ in range(DRAWS))]
    for otherwise in others:
        suggester = Given(given, otherwise)
        try:
            call(space, suggester, "give another value, or what it depends on, too")
        except ConfigError as error:
            first = first or list(error.problems)
        else:
            if not (left := [name for name in given if name not in suggester.used]):
                return []
            beside = ", ".join(sorted(suggester.used))
            hints = {name: "" if name in known else nearest(name, list(known)) for name in left}
            first = first or [f"{name!r} is not drawn{hints[name]}; the function draws {beside} there" for name in left]
        if suggester.used <= given.keys():
            # Nothing was left open.
            break
    return first


def _enqueue_problems(config: StudyConfig) -> Iterator[str]:
    for index, given in enumerate(config.enqueue):
        yield from (f"enqueue.{index}: {problem}" for problem in given_problems(config.space, given))
