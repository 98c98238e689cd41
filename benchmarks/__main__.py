"""Runs every benchmark: about three quarters of an hour on two cores."""

from benchmarks import batching, commands, end_to_end, planning, trainers

if __name__ == "__main__":
    for benchmark in (commands, trainers, batching, end_to_end, planning):
        benchmark.main()
