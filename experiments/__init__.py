"""Pages of the experiments: what a tutorial did, done again, beside what comes out when it is done properly.

`python -m experiments [NAME ...]` (`make experiments`) runs them anew and writes tables and figures into `experiments/NAME/`.
"""
