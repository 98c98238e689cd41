"""The page of an experiment: prose by hand, tables and figures by the run.

`README.md` of an experiment holds blocks between `<!-- NAME -->` and `<!-- /NAME -->`; `write` puts what was printed there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure

from experiments.replicate import Replicates
from regsweep.metrics import ClassScores, Scores
from regsweep.repeats import Repeats, Standing
from regsweep.report.style import number
from regsweep.tasks import METRICS

FOLDER = Path(__file__).resolve().parent
DPI = 100
# Where the data are made, more splits only say it again.
FEW_SPLITS = 5

Cell = str | float | None


@dataclass(frozen=True)
class Page:
    """`blocks`: Markdown by the name of its place in README.md; `figures`: by file name without `.png`."""

    blocks: Mapping[str, str]
    figures: Mapping[str, Figure]


def write(name: str, page: Page) -> None:
    """Put a page's blocks into its README.md, its figures beside it, all text into results.txt, its verdict into the list of all.

    Raises ValueError where README.md lacks the place of a block.
    """
    folder = FOLDER / name
    fill(folder / "README.md", page.blocks)
    fill(FOLDER / "README.md", {name: page.blocks["verdict"]})
    (folder / "results.txt").write_text(as_text(page), encoding="utf-8")
    for figure_name, figure in page.figures.items():
        figure.savefig(folder / f"{figure_name}.png", dpi=DPI)


def fill(readme: Path, blocks: Mapping[str, str]) -> None:
    """Put blocks between their marks. Raises ValueError where the page lacks the place of a block."""
    text = readme.read_text(encoding="utf-8")
    for block, content in blocks.items():
        place = re.compile(rf"(<!-- {re.escape(block)} -->\n).*?(<!-- /{re.escape(block)} -->)", re.DOTALL)
        if not place.search(text):
            raise ValueError(f"{readme}: has no place for {block!r}; add the lines <!-- {block} --> and <!-- /{block} -->")
        text = place.sub(lambda found, new=content: f"{found[1]}{new.strip()}\n{found[2]}", text)
    readme.write_text(text, encoding="utf-8")


def as_text(page: Page) -> str:
    """All blocks, one below the other."""
    return "\n\n".join(f"[{name}]\n{content.strip()}" for name, content in page.blocks.items()) + "\n"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table: words to the left, numbers to the right."""
    words = [any(isinstance(row[i], str) and not re.match(r"[-−\d]", row[i]) for row in rows) for i in range(len(columns))]
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join("---" if word else "---:" for word in words) + "|"]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """`0.159 (0.144 to 0.174)`: the mean, and from the least to the greatest."""
    low, high = min(values), max(values)
    return f"{shown(float(np.mean(values)))} ({shown(low)} to {shown(high)})" if len(values) > 1 else shown(low)


def shown(value: float) -> str:
    """Four digits, or all before the point."""
    return f"{value:,.0f}" if 1e6 <= abs(value) < 1e12 else number(value)


def systems(
    replicates: Sequence[Replicates],
    claims: Mapping[str, str],
    *,
    metrics: Sequence[str] = ("rmse", "mae", "r2"),
    further: Mapping[str, Scores | ClassScores] = MappingProxyType({}),
) -> str:
    """A table of systems: each metric over the seeds, what the tutorial prints (by system's name), least squares and `further`
    models below."""
    rows: list[list[Cell]] = []
    for one in replicates:
        # Where there is no split both are the same.
        trained = spread([getattr(scores, metrics[0]) for scores in one.trained]) if one.system.rows != "all" else ""
        rows.append(
            [one.system.name, *(spread(one.values(metric)) for metric in metrics), trained, claims.get(one.system.name, "")]
        )
    lines = replicates[0].lines
    rows.append(["least squares", *(spread([getattr(line, metric) for line in lines]) for metric in metrics), "", ""])
    rows += [[name, *(spread([getattr(scores, metric)]) for metric in metrics), "", ""] for name, scores in further.items()]
    columns = [
        "",
        *(METRICS[metric].label for metric in metrics),
        f"training {METRICS[metrics[0]].label}",
        "the tutorial's figure",
    ]
    kept = [index for index in range(len(columns)) if index == 0 or any(row[index] for row in rows)]
    return markdown([columns[index] for index in kept], [[row[index] for index in kept] for row in rows])


def verdict_blocks(repeats: Repeats, prefix: str = "") -> dict[str, str]:
    """The blocks `verdict`, a sentence, and `splits`, a table of champion and baselines over splits; all with `prefix`."""
    heads = ["", *(f"test {METRICS[name].label}" for name in repeats.metrics)]
    heads += [f"champion better by ({METRICS[repeats.metric].label}, 95 %)", "champion won"]
    rows: list[list[Cell]] = [[f"**{repeats.champion.name} (champion)**", *_over_splits(repeats, repeats.champion), "", ""]]
    for name, one in repeats.distinct(repeats.metric):
        found = repeats.difference(one.key)
        ends = f"{number(found.value)} ({number(found.low)} to {number(found.high)})"
        rows.append([name, *_over_splits(repeats, one), ends, f"{repeats.wins(one.key)} of {len(repeats.splits)}"])
    unit = f"In {repeats.unit}. " if repeats.unit else ""
    note = (
        f"{unit}Mean over {len(repeats.splits)} splits, standard deviation in brackets; the interval is that of the corrected "
        "resampled t-test."
    )
    return {f"{prefix}verdict": f"**{repeats.sentence}**", f"{prefix}splits": f"{markdown(heads, rows)}\n\n{note}"}


def _over_splits(repeats: Repeats, standing: Standing) -> list[str]:
    return [
        f"{number(float(np.mean(v)))} ({number(float(np.std(v, ddof=1)))})" for v in map(standing.test.get, repeats.metrics) if v
    ]


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else shown(value)
