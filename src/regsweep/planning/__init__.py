"""What a study is going to take, before it is run: trials, configurations, trainings, time and disk."""

from regsweep.planning.count import Count, count, searched
from regsweep.planning.estimate import Estimate, estimate
from regsweep.planning.history import Compared, compared, promise

__all__ = ["Compared", "Count", "Estimate", "compared", "count", "estimate", "promise", "searched"]
