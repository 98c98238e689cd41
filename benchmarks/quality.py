"""How good the champion is: ten 80/20 splits of three tables, searched inside the training part, scored once on the rest.

    python -m benchmarks.quality [SETTING ...]

The splits are `train_test_split(test_size=0.2, random_state=0..9)`. Every line is a mean over them, of R² on the test rows:
the default champion, others made of the same trials, and the baselines. Settings change the study, `n_trials=80` for example;
`only=insurance` leaves the other tables out, `name=NAME` names the file of results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import save, show

# A table and the R² that the default champion has to reach.
BARS = {"insurance": 0.865, "diabetes": 0.445, "economics": 0.985}
SPLITS = range(10)
# Nothing of the search depends on what MLflow gets.
SETTINGS = ("split=auto", "tracking.models=none")


def main(arguments: list[str]) -> None:
    """Run the studies, print the table and keep it."""
    options = dict(one.split("=", 1) for one in arguments if one.startswith(("only=", "name=")))
    settings = [one for one in arguments if one.split("=")[0] not in options]
    found: dict[str, Any] = {}
    names = [options["only"]] if "only" in options else list(BARS)
    if names[0] not in BARS:
        sys.exit(f"only={names[0]}: is none of {', '.join(BARS)}")
    for name in names:
        found[name] = [judged(name, seed, settings) for seed in SPLITS]
        report(name, found[name])
    save(options.get("name", "quality"), {"tables": found})


def judged(name: str, seed: int, settings: Sequence[str], *, bare: bool = False) -> dict[str, Any]:
    """Search one split; R² on its test rows, by model. `bare`: without figures and MLflow."""
    from regsweep.book import read_champion
    from regsweep.champion.choice import best_trial
    from regsweep.config import compose
    from regsweep.data.sealed import unseal
    from regsweep.material import gather
    from regsweep.metrics import score
    from regsweep.paths import Workspace
    from regsweep.study import Unwatched, run_study

    started = time.perf_counter()
    with TemporaryDirectory() as folder:
        config = compose([f"dataset={name}", f"split.seed={seed}", *SETTINGS, f"tracking.dir={folder}", *settings])[0]
        material = gather(config)
        book = run_study(material, Workspace(Path(folder)), Unwatched(), bare=bare).book
        test, champion = unseal(material.dataset, material.split), read_champion(book)
        assert champion is not None
        model = material.prepared.encoding.model
        best = best_trial(book.trials(), config.objective)
        assert best is not None
        single = model(best.result)
        lone = single.members[0].predict(test.x)
        baselines = {content["name"]: content["test"]["r2"]["value"] for content in book.contents("baseline")}
        return {
            "seed": seed,
            "champion": champion["test"]["r2"]["value"],
            "rmse": champion["test"]["rmse"]["value"],
            "validation": champion["val"]["r2"],
            "best trial, all folds": score(test.y, single.predict(test.x)).r2,
            "best trial, one fold": score(test.y, lone).r2,
            "baselines": baselines,
            "seconds": time.perf_counter() - started,
        }


def report(name: str, runs: list[dict[str, Any]]) -> None:
    """Print one table's means and spreads."""
    lines: dict[str, list[float]] = {"champion": [run["champion"] for run in runs]}
    lines |= {key: [run[key] for run in runs] for key in ("best trial, all folds", "best trial, one fold")}
    lines |= {key: [run["baselines"][key] for run in runs] for key in runs[0]["baselines"]}
    rows = sorted(((key, float(np.mean(v)), float(np.std(v, ddof=1)), float(np.min(v))) for key, v in lines.items()), key=by_mean)
    seconds = float(np.mean([run["seconds"] for run in runs]))
    title = f"{name}: R² on test rows over {len(runs)} splits, bar {BARS[name]}, {seconds:.0f} s per study"
    show(title, ("model", "mean", "sd", "least"), rows)


def by_mean(row: tuple[str, float, float, float]) -> float:
    """Best first."""
    return -row[1]


if __name__ == "__main__":
    main(sys.argv[1:])
