"""Where a user's function lies that draws trials, and what its file says of itself: nothing of it is run here.

In: `module:name`. Out: the module's file and its sha256. Main call: `with_source`.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from regsweep.config.space import SpaceConfig
from regsweep.errors import ConfigError


def with_source(space: SpaceConfig) -> SpaceConfig:
    """The space with the sha256 of its function's file, where it has a function. Raises ConfigError where there is no file."""
    if space.function is None:
        return space
    return space.model_copy(update={"source": digest(locate(space.function))})


def locate(function: str) -> Path:
    """The file of a function's module, from the working directory or installed. Raises ConfigError."""
    module = function.partition(":")[0]
    here = str(Path.cwd())
    if here not in sys.path:
        # Last: a file of the user is not to stand in for a library.
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        found = _found(module)
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigError(f"space.function={function}: {module} can't be looked up ({type(error).__name__}: {error})") from None
    if found is None:
        raise ConfigError(
            f"space.function={function}: there is no module {module!r}, neither in {here} nor installed; "
            f"run the command where {module.replace('.', '/')}.py is"
        )
    if found.origin is None or not found.origin.endswith(".py"):
        raise ConfigError(f"space.function={function}: {module} is no Python file ({found.origin}); name the file's module")
    return Path(found.origin)


def _found(module: str) -> ModuleSpec | None:
    """Where a module lies; packages above it are looked into and not imported, as `find_spec` alone would."""
    top, *parts = module.split(".")
    found = find_spec(top)
    for part in parts:
        if found is None:
            return None
        # By its full name, a folder without __init__.py would ask for the packages above it.
        found = PathFinder.find_spec(part, found.submodule_search_locations or ())
    return found


def digest(place: Path) -> str:
    """The sha256 of a file. Raises ConfigError where it can't be read."""
    try:
        return hashlib.sha256(place.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{place}: can't be read ({error.strerror})") from None
