"""How the search of a study ended, and whether its judgement and report followed: the file `ended.json` beside its records.

A file that is damaged says nothing: what it said is asked again, or done again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regsweep.errors import UnreadableError
from regsweep.failpoints import reach
from regsweep.folder import read_json, write_json


class Ending:
    """What is written down in a study's folder about the end of its search."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "ended.json"

    def write(self, reason: str, trials: int) -> None:
        """Write down what ended the search, and at how many trials."""
        reach("study/ending")
        write_json(self.place, {"kind": "ended", "trials": trials, "reason": reason})
        reach("study/ended")

    def reason(self, trials: int) -> str | None:
        """What ended the search, if it was at so many trials."""
        content = self._content()
        return str(content["reason"]) if content.get("trials") == trials else None

    def settle(self, note: str | None) -> None:
        """Write down, where the search has ended, that it was judged and reported as is asked for now, and a note on it."""
        if content := self._content():
            write_json(self.place, {**content, "note": note})

    def unsettle(self) -> None:
        """Write down that what was judged is not what is asked for now."""
        if self.settled():
            write_json(self.place, {key: value for key, value in self._content().items() if key != "note"})

    def settled(self) -> bool:
        """Whether the end of the search is followed by a judgement and its report."""
        return "note" in self._content()

    def cut_short(self) -> bool:
        """Whether a stop came between the end of the search and that of its report."""
        return bool(content := self._content()) and "note" not in content

    def note(self) -> str | None:
        """What there was to say about the last judgement."""
        said = self._content().get("note")
        return None if said is None else str(said)

    def _content(self) -> dict[str, Any]:
        try:
            return read_json(self.place)
        except UnreadableError:
            return {}
