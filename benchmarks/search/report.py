"""Writes `docs/bakeoff.md` and its figures from what is in: prose by hand, every number from the lines."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.search.numbers import TEST, VALIDATION, by_kind
from benchmarks.search.overview import overview
from benchmarks.search.plots import figures
from benchmarks.search.store import Store
from benchmarks.search.tables import blocks, rules
from experiments.page import DPI, fill

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
ALT: Final = {
    "race": "best configuration so far against seconds, regsweep's default and the libraries' own loops",
    "samplers": "best trial so far of every sampler",
    "pruners": "best trial so far with every pruner",
    "matrix": "best trial so far of every sampler with every pruner, against epochs",
}


def write(store: Store, docs: Path = DOCS) -> None:
    """Fill the page and draw its figures; those that nothing is in for any more are removed."""
    found = store.read()
    drawn = figures(found)
    for value in (VALIDATION, TEST):
        if (every := overview(by_kind(found, "ours"), value)) is not None:
            drawn[f"bakeoff_matrix_{value}"] = every
    images = docs / "images"
    images.mkdir(exist_ok=True)
    for place in images.glob("bakeoff_*.png"):
        place.unlink()
    for name, figure in drawn.items():
        figure.savefig(images / f"{name}.png", dpi=DPI)
    shown = {
        f"figures {group}": "\n".join(f"![{alt}](images/{name}.png)" for name in drawn if name.startswith(f"bakeoff_{group}"))
        for group, alt in ALT.items()
    }
    fill(docs / "bakeoff.md", {"rules": rules(), **blocks(found), **shown})
