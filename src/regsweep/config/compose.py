"""From command-line overrides to checked study configs: Hydra composes, the schema judges.

In: Hydra overrides (`dataset=economics`, `seed=0,1,2`). Out: one `StudyConfig` per combination. Every plain override is
handed to Hydra as a forced one (`++key=value`), so that a misspelt key reaches the schema and all problems are listed
together with suggestions, where Hydra alone would stop at the first and advise to add it.
"""

from __future__ import annotations

import itertools
import re
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regsweep.config.backend import missing_backend
from regsweep.config.function import with_source
from regsweep.config.idle import idle_settings
from regsweep.config.messages import composition_problem, secret_problem, validation_problems
from regsweep.config.names import baselines_of
from regsweep.config.parameters import keys_of_others
from regsweep.config.sampler import missing_package
from regsweep.config.schema import StudyConfig
from regsweep.errors import ConfigError
from regsweep.paths import shipped
from regsweep.redact import VARIABLES, holds_secret, redact
from regsweep.tasks import BINARY, REGRESSION, TASKS

GROUPS = (
    "dataset",
    "split",
    "features",
    "space",
    "sampler",
    "pruner",
    "trainer",
    "epochs",
    "champion",
    "baselines",
    "tracking",
    "executor",
    "experiments",
)


def compose(overrides: Sequence[str], *, multirun: bool = False, folder: Path | None = None) -> tuple[StudyConfig, ...]:
    """Compose and check the studies that the overrides describe; several only with `multirun`.

    `folder` is where the user's own `conf/` and `experiments/` are looked for (default: the working directory).
    Raises ConfigError with every problem of every combination.
    """
    # Before Hydra reads them: it would stop at a query's = with a problem of grammar.
    _refuse_secrets((key.lstrip("+~"), value) for key, _, value in (text.partition("=") for text in overrides))
    _check_names(folder or Path.cwd())
    studies, problems = [], []
    for combination in _combinations(overrides, multirun=multirun):
        try:
            plain = compose_plain(combination, folder=folder)
            _check_epochs(combination, plain, folder)
            config = _checked(plain)
            # Neither is in the schema: records are read where packages and the user's functions aren't.
            studies.append(config.model_copy(update={"space": with_source(config.space)}))
            missing = filter(None, (missing_package(studies[-1].sampler), missing_backend(studies[-1].trainer.backend)))
            if problems_here := [*missing, *idle_settings(config)]:
                raise ConfigError(problems_here)
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigError(problems)
    return tuple(studies)


def compose_plain(overrides: Sequence[str], *, folder: Path | None = None) -> dict[str, Any]:
    """Compose one config and resolve its interpolations, without checking it against the schema."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    OmegaConf.register_new_resolver("stem", _stem, replace=True)
    OmegaConf.register_new_resolver("of_task", _of_task, replace=True)
    roots = _search_path(folder or Path.cwd())
    where = f"hydra.searchpath=[{','.join(_quoted(f'file://{path}') for path in roots)}]"
    forced = [part for override in overrides for part in _forced(override)]
    # To Hydra a folder `study/` in the user's makes a group of the key `study`.
    apart = [text for text in forced if text.startswith("++") and any((root / _key(text)).is_dir() for root in roots)]
    forced = [*(text for text in forced if text not in apart), where]
    with warnings.catch_warnings(), initialize_config_dir(str(shipped("conf")), version_base="1.3"):
        warnings.simplefilter("ignore")
        try:
            composed = hydra_compose("config", overrides=forced)
            for override in OverridesParser.create().parse_overrides(apart):
                OmegaConf.update(composed, override.key_or_group, override.value(), force_add=True)
            _refuse_secrets(_strings(OmegaConf.to_container(composed)))
            plain = OmegaConf.to_container(composed, resolve=True)
            if mixed := [entry for entry in _parameters(plain).items() if keys_of_others(entry[1])]:
                chosen = hydra_compose("config", overrides=forced, return_hydra_config=True).hydra.runtime.choices.get("space")
                plainly = [f"space={chosen}" if chosen else "~space", where]
                own = _parameters(OmegaConf.to_container(hydra_compose("config", overrides=plainly)))
                for name, parameter in mixed:
                    _take_out_merged(parameter, own.get(name))
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise ConfigError(composition_problem(error)) from None
        except (ValueError, RecursionError) as error:
            # What else Hydra stumbles over in a user's file.
            what = f"can't be composed ({composition_problem(error)})"
            raise ConfigError(f"{what}; files are YAML in UTF-8, with _self_ in their defaults") from None
    assert isinstance(plain, dict)
    _refuse_secrets(_strings(plain))
    if idle := plain.pop("experiments", None):
        names = ", ".join(map(str, idle)) if isinstance(idle, dict) else repr(idle)
        raise ConfigError(
            f"experiments: what stands below it has no effect ({names}); an experiment's file begins with the line "
            "`# @package _global_`, and settings of the command line have no `experiments.` before them"
        )
    return {str(key): value for key, value in plain.items()}


def _parameters(plain: object) -> dict[str, Any]:
    """The hyperparameters of a composed config, as far as it has some."""
    space = plain.get("space") if isinstance(plain, dict) else None
    found = space.get("parameters") if isinstance(space, dict) else None
    return found if isinstance(found, dict) else {}


def _take_out_merged(parameter: dict[str, Any], own: object) -> None:
    """Take out what Hydra has merged into a hyperparameter from the one of another type that it replaces, its space's `own`."""
    if isinstance(own, dict) and own.get("type") != parameter["type"]:
        for key in keys_of_others(parameter):
            if key in own and own[key] == parameter[key]:
                del parameter[key]


def load_saved(values: Mapping[str, Any]) -> StudyConfig:
    """Check a config that was read back from a record."""
    return _checked(values)


def _checked(values: Mapping[str, Any]) -> StudyConfig:
    try:
        return StudyConfig.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(validation_problems(error, StudyConfig)) from None


def _check_names(folder: Path) -> None:
    """Raise ConfigError for options of the user's that Hydra does not read, as it looks into the shipped `conf/` first."""
    own, ours = folder / "conf", shipped("conf")
    taken = []
    for place in sorted(own.glob("*/*.yaml")):
        twin = ours / place.relative_to(own)
        # What can't be read is told when it is chosen.
        with suppress(OSError):
            if place.parent.name in GROUPS and twin.is_file() and twin.read_bytes() != place.read_bytes():
                taken.append(f"{place}: is not read, as a shipped file has its name; call it something else, and choose it")
    if taken:
        raise ConfigError(taken)


def _check_epochs(overrides: Sequence[str], plain: Mapping[str, Any], folder: Path | None) -> None:
    """Raise ConfigError where an experiment's own epochs take the place of those that the chosen way of training has."""
    chosen = dict(override.lstrip("+").split("=", 1) for override in overrides if "=" in override)
    if not {"epochs", "experiments"} <= {*chosen} or any(key.startswith("space.parameters.epochs") for key in chosen):
        return
    try:
        alone = compose_plain([override for override in overrides if _key(override) != "experiments"], folder=folder)
    except ConfigError:
        # What else is set may be about what the experiment alone has.
        return
    meant, found = (one.get("space", {}).get("parameters", {}).get("epochs") for one in (alone, plain))
    if isinstance(meant, int) and found != meant:
        raise ConfigError(
            f"epochs={chosen['epochs']}: the experiment {chosen['experiments']} says its own epochs; add "
            f"space.parameters.epochs={meant}, or another number, and enqueue=[] where it tries others first"
        )


def _refuse_secrets(strings: Iterable[tuple[str, str]]) -> None:
    """Raise ConfigError for (key, text) with a password in it: configs are written into records and sent to servers."""
    problems = []
    for key, text in strings:
        if holds_secret(text):
            problems.append(secret_problem(key, f"{redact(text)} holds a password or token"))
        elif taken := re.search(rf"\$\{{\s*oc\.env:\s*['\"]?({'|'.join(VARIABLES)})\b", text):
            problems.append(secret_problem(key, f"takes the value of {taken[1]}"))
    if problems:
        raise ConfigError(problems)


def _strings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of nested values with its dotted key; names of keys are texts, too."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield key, str(name)
            yield from _strings(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)
    elif isinstance(value, str):
        yield key, value


def _search_path(folder: Path) -> list[Path]:
    """Roots in which groups are looked up: the user's `conf/`, the user's folder, the folder of the shipped experiments."""
    own = [folder] if (folder / "experiments").is_dir() else []
    return [root for root in (folder / "conf", *own, shipped("experiments").parent) if root.is_dir()]


def _quoted(text: str) -> str:
    """A string as Hydra's grammar quotes it: folders may have spaces, commas, quotes."""
    return "'" + text.replace("'", "\\'") + "'"


def _stem(path: object) -> str:
    """A study's name for a table: its file's name without what names can't have."""
    return re.sub(r"[^\w.-]+", " ", Path(str(path)).stem).strip(" .-") or "table" if path else "table"


def _of_task(what: str, task: object) -> object:
    """A task's own `objective`, `baselines`, or whether to `stratify`; the schema refuses an unknown one, here a regression."""
    known = TASKS.get(str(task), REGRESSION)
    match what:
        case "objective":
            return known.objectives[0]
        case "stratify":
            return known == BINARY
        case _:
            return list(baselines_of(known.name))


def _key(override: str) -> str:
    return override.lstrip("+").partition("=")[0]


def _forced(override: str) -> list[str]:
    key = _key(override)
    if "=" not in override or key.startswith("~"):
        return [override]
    if key.partition("@")[0] in GROUPS:
        # Each has its place among the defaults: there is none to add.
        return [override.lstrip("+")]
    forced = "++" + override.lstrip("+")
    if re.match(r"\+\+space\.parameters\.\w+=\s*\{.*\btype\s*:", forced):
        # Hydra merges: choices would come with the ends of the range that they replace.
        return [f"{forced.partition('=')[0]}=0", forced]
    return [forced]


def _options(group: str) -> str:
    """The shipped options of a group, as far as it has some."""
    names = sorted(place.stem for place in (shipped("conf") / group).glob("[!_]*.yaml"))
    return f": {', '.join(names)}" if names else ""


def _combinations(overrides: Sequence[str], *, multirun: bool) -> list[list[str]]:
    """Expand sweeps (`seed=0,1`, `seed=range(3)`) into their product, in the order of the command line."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException, OverrideParseException

    for text in overrides:
        if text.startswith("-"):
            raise ConfigError(f"{text!r} is no option; settings have no dashes: write key=value, for example n_trials=200")
        if not re.match(r"^(\+{1,2}|~)?[\w./@:-]+(=|$)", text):
            raise ConfigError(f"{text!r} is not an override; write key=value, for example dataset=economics n_trials=200")
        if text.lstrip("+~").startswith("hydra."):
            raise ConfigError(
                f"{text!r}: Hydra only composes here, its own settings have no effect; set tracking.dir for the folder"
            )
        key, _, value = text.lstrip("+").partition("=")
        if key in GROUPS and value == "null":
            raise ConfigError(f"{text!r}: a group is not null; leave it out, or name one of its options{_options(key)}")
    try:
        parsed = OverridesParser.create().parse_overrides(overrides=list(overrides))
    except OverrideParseException as error:
        key, equals, value = str(error.override).partition("=")
        quoted = shlex.quote(f'{key}="{value.strip(chr(34))}"')
        remedy = f"a value that is not plain needs quotes of its own: {quoted}" if equals else "write key=value"
        raise ConfigError(f"{error.override!r} can't be read; {remedy}") from None
    choices = []
    for text, override in zip(overrides, parsed, strict=True):
        if override.is_sweep_override():
            if not multirun:
                raise ConfigError(f"{text!r} names several values: `regsweep run -m` runs a study for each")
            try:
                choices.append([f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()])
            except HydraException:
                raise ConfigError(f"{text!r}: a sweep lists its values: a,b,c or choice(a,b,c) or range(1,4)") from None
        else:
            choices.append([text])
    return [list(combination) for combination in itertools.product(*choices)]
