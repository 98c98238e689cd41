"""Tags of our runs in MLflow."""

# What a run is: a study, trial, baseline or champion; of which study; which of them (number or name).
KIND, STUDY, KEY = "regsweep.kind", "regsweep.study", "regsweep.key"
# The sha256 of the list of files of the record that a run was made from.
RECORD = "regsweep.record.sha256"
# The sha256 of a run's list of its artifacts' sha256.
SUMS = "regsweep.artifacts.sha256"
# Of a study's run: the trials that have a model, where not all have.
MODELS = "regsweep.models"
# Of a study's run: the budget that ended the search, in words.
ENDED = "regsweep.ended"
# Of a trial's run: "true" where it is on the Pareto front of several objectives.
PARETO = "regsweep.pareto"
# MLflow's own: the run that a run belongs to.
PARENT = "mlflow.parentRunId"
# Of a study whose runs lie on a server, and of its children: the id of its book of records.
BOOK = "regsweep.book"
# Of a verdict on a server: the id of its first study's book.
FIRST_BOOK = "regsweep.first_book"
