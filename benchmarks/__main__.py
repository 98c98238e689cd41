"""Runs every benchmark: about half an hour on two cores."""

from benchmarks import batching, commands, end_to_end, trainers

if __name__ == "__main__":
    for benchmark in (commands, trainers, batching, end_to_end):
        benchmark.main()
