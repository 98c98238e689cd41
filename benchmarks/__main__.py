"""Runs every benchmark of speed: about three quarters of an hour on two cores.

Those that defaults and decisions follow from take longer and run by themselves, `python -m benchmarks.NAME`: `folds`, `order`,
`preference`, `pruning`, `quality` and `search`.
"""

from benchmarks import batching, commands, end_to_end, planning, proposals, trainers

if __name__ == "__main__":
    for benchmark in (commands, trainers, batching, end_to_end, planning, proposals):
        benchmark.main()
