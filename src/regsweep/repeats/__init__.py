"""Is it worth it, over repeated splits: the same study on several splits, compared split by split.

In: a study's config and how many splits. Out: `Repeats`: table, frame, sentence, figure. Main calls: `repeat_splits` runs it,
`read_repeats` makes it of records alone.
"""

from regsweep.repeats.comparison import Repeats, Standing
from regsweep.repeats.interval import corrected_interval
from regsweep.repeats.reading import read_repeats
from regsweep.repeats.running import SplitsWatcher, Unattended, repeat, repeat_splits
from regsweep.repeats.writing import record_verdict, verdict_folder, verdict_name, write_verdict

__all__ = [
    "Repeats",
    "SplitsWatcher",
    "Standing",
    "Unattended",
    "corrected_interval",
    "read_repeats",
    "record_verdict",
    "repeat",
    "repeat_splits",
    "verdict_folder",
    "verdict_name",
    "write_verdict",
]
