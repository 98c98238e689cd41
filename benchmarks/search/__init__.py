"""The bake-off: every sampler × pruner on three tables and ten seeds, and regsweep's default beside the libraries' own loops.

`python -m benchmarks.search` collects what is missing, cell by cell, over as many sittings as it takes; `report` says what is in.

    cells    what is compared, and in which order
    store    one line of JSON per finished cell
    ours     a study by regsweep; peers: the libraries' own loops; both leave a `Searched`
    scoring  what a search found, on the test rows and trained anew in the same way for all
    numbers  curves and means with intervals; tables and plots draw on it
"""
