"""The verdict over splits: interval, table and sentence from made-up records, and what the splits are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.config.parameters import IntRange
from regsweep.config.repeats import splits_of
from regsweep.config.split import TimeOrderedSplit
from regsweep.errors import ConfigError
from regsweep.folder import read_content
from regsweep.paths import Workspace
from regsweep.record import identity
from regsweep.repeats import Repeats, corrected_interval, read_repeats, repeat_splits, verdict_folder, write_verdict
from regsweep.repeats.running import _as_composed
from regsweep.report.repeats_plot import repeated_splits
from tests.helpers import features
from tests.unit.plot_parts import facts, line, texts, xs

# MAE of the champion and of two baselines on three splits; all have 300 rows, 100 of them test rows.
CHAMPION, LINE, FOREST = (10.0, 12.0, 14.0), (13.0, 14.0, 18.0), (11.0, 11.0, 15.0)


def test_the_interval_is_that_of_nadeau_and_bengio() -> None:
    # Differences 3, 2, 4: mean 3, s² 1; variance (1/3 + 100/200) 1; t with 2 degrees of freedom 4.3027.
    found = corrected_interval([3.0, 2.0, 4.0], test_rows=100, train_rows=200)
    half = 4.302653 * math.sqrt(1 / 3 + 1 / 2)
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 3 - half, 3 + half), rel=1e-6)


def test_without_test_rows_the_interval_is_scipys_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(2, 3, 10)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = corrected_interval(values.tolist(), test_rows=0, train_rows=1, level=0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_the_corrected_interval_holds_its_level_where_the_plain_one_does_not() -> None:
    # How well the mean of two samples of one distribution predicts them, over ten splits of the same 100 rows.
    rng = np.random.default_rng(1)
    missed = {"corrected": 0, "plain": 0}
    for _ in range(300):
        samples = rng.normal(size=(2, 100))
        orders = [rng.permutation(100) for _ in range(10)]
        errors = [[float(np.mean((one[o[:20]] - one[o[20:]].mean()) ** 2)) for one in samples] for o in orders]
        for name, test_rows in (("corrected", 20), ("plain", 0)):
            found = corrected_interval([a - b for a, b in errors], test_rows=test_rows, train_rows=80)
            missed[name] += not found.low <= 0 <= found.high
    # 15 of 300 are to be missed.
    assert missed["corrected"] <= 20
    assert missed["plain"] >= 60


def test_intervals_that_cannot_be_made() -> None:
    found = corrected_interval([1.0, math.inf], test_rows=1, train_rows=4)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    with pytest.raises(ValueError, match="at least two differences are needed, but got 1"):
        corrected_interval([1.0], test_rows=1, train_rows=4)


def _scores(mae: float) -> dict[str, dict[str, float]]:
    return {"mae": {"value": mae}, "rmse": {"value": 2 * mae}, "r2": {"value": 1 - mae / 100}}


def _judged(folder: Path, seed: int, mae: dict[str, float], *overrides: str, val: dict[str, float]) -> RecordBook:
    where = () if "split=time_ordered" in overrides else (f"split.seed={seed}",)
    study = facts("baselines.names=[random_forest,least_squares_qr,linear_regression]", *where, *overrides)
    book = RecordBook(folder / f"seed{seed}")
    with book.locked():
        book.open(study, features())
    rows = {"y": np.zeros(100), "prediction": np.zeros(100)}
    for name, value in mae.items():
        content = {"kind": name, "name": name, "val": {"mse": val[name], "mae": 1.0, "r2": 0.5}, "test": _scores(value)}
        if name == "champion":
            content |= {
                "name": f"ensemble of {seed + 2} trials",
                "members": [[0, 0.5], [1, 0.5]],
                "label": "the ensemble of networks",
            }
        book.write(name if name == "champion" else f"baseline-{name}", {**content, **study.to_json()}, rows)
    return book


VAL = {"champion": 4.0, "random_forest": 7.0, "least_squares_qr": 6.0, "linear_regression": 6.5}


def _books(folder: Path, val: dict[str, float] = VAL) -> list[RecordBook]:
    found = []
    for seed, values in enumerate(zip(CHAMPION, FOREST, LINE, LINE, strict=True)):
        found.append(_judged(folder, seed, dict(zip(VAL, values, strict=True)), val=val))
    return found


@pytest.fixture
def repeats(tmp_path: Path) -> Repeats:
    return read_repeats(_books(tmp_path))


def test_differences_wins_and_rows_are_those_of_the_records(repeats: Repeats) -> None:
    # 1,338 rows as the made-up facts have it, 100 of them sealed.
    assert (repeats.train_rows, repeats.test_rows) == ((1238,) * 3, (100,) * 3)
    assert repeats.splits == ("seed 0", "seed 1", "seed 2")
    assert (repeats.wins("least_squares_qr"), repeats.wins("random_forest")) == (3, 2)
    found = repeats.difference("least_squares_qr")
    half = 4.302653 * math.sqrt(1 / 3 + 100 / 1238)
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 3 - half, 3 + half), rel=1e-6)
    with pytest.raises(ValueError, match="there is no baseline 'svr'; known: random_forest, least_squares_qr, linear_regression"):
        repeats.difference("svr")


def test_the_sentence_compares_with_least_squares_and_the_best_baseline_by_validation(tmp_path: Path) -> None:
    assert read_repeats(_books(tmp_path / "line")).sentence == (
        "The ensemble of networks is better than closed-form least squares, the best baseline by validation, by 3.00 ± 2.77 "
        "dollars of MAE (95 % interval over 3 splits)."
    )
    # On test rows the forest is better than the line; by validation, which decides, too.
    assert read_repeats(_books(tmp_path / "forest", {**VAL, "random_forest": 5.0})).sentence == (
        "The ensemble of networks is better than closed-form least squares by 3.00 ± 2.77 dollars of MAE (95 % interval over 3 "
        "splits), and not distinguishable from random forest, the best baseline by validation."
    )


def test_a_baseline_that_is_champion_is_compared_with_the_networks_and_not_with_itself(tmp_path: Path) -> None:
    books = []
    for seed, (network, forest, straight) in enumerate(zip(CHAMPION, FOREST, LINE, strict=True)):
        # The forest errs by 9 less than it does in other tests, so validation had it lead.
        led = forest - 9
        values = {"champion": led, "random_forest": led, "least_squares_qr": straight, "linear_regression": straight}
        book = _judged(tmp_path, seed, values, val={**VAL, "champion": 3.0, "random_forest": 3.0})
        content = {**read_content(book.folder / "champion"), "name": "random forest", "label": "random forest"}
        beside = {"name": "trial 2", "label": "the network", "val": content["val"], "test": _scores(network)}
        rows = {"y": np.zeros(100), "prediction": np.zeros(100)}
        book.write("champion", {**content, "baseline": "random_forest", "network": beside}, rows)
        books.append(book)
    repeats = read_repeats(books)
    assert repeats.sentence == (
        "The network is not worth it here: random forest is better than the network by 8.67 ± 3.20 dollars of MAE (95 % interval "
        "over 3 splits), and better than closed-form least squares, the best other baseline by validation, by 11.67 ± 1.60 "
        "dollars of MAE."
    )
    assert (repeats.champion.name, repeats.wins("network")) == ("random forest", 3)
    written = (write_verdict(repeats, Workspace(tmp_path)) / "verdict.md").read_text()
    assert "best network" in written
    # Where networks lead on one split, nothing is said against them as a whole.
    mixed = read_repeats([*books[:2], _judged(tmp_path, 2, dict(zip(VAL, (14.0, 15.0, 18.0, 18.0), strict=True)), val=VAL)])
    assert mixed.sentence.startswith("The champion is not distinguishable from the network")
    assert mixed.champion.name == "ensemble or random forest"


def test_the_table_in_numbers_and_as_it_is_written(repeats: Repeats, tmp_path: Path) -> None:
    frame = repeats.as_frame()
    assert len(frame) == 3 * 4
    means = frame.groupby("model")["test_mae"].mean()
    assert means["champion"] == 12
    assert means["random_forest"] == pytest.approx(37 / 3)
    assert frame.loc[frame["model"] == "champion", "name"].tolist() == [f"ensemble of {n} trials" for n in (2, 3, 4)]
    folder = write_verdict(repeats, Workspace(tmp_path))
    assert folder == verdict_folder(repeats, Workspace(tmp_path))
    written = (folder / "verdict.md").read_text()
    assert repeats.sentence in written
    (champion,) = [row for row in written.splitlines() if row.startswith(" ensemble (champion)")]
    assert champion.split()[2:] == ["0.880", "±", "0.020", "24.0", "±", "4.0", "12.0", "±", "2.0"]
    (best,) = [row for row in written.splitlines() if "◆" in row and "closed-form" in row]
    assert best.endswith("3.0 (0.2 to 5.8)         3 of 3")
    assert (folder / "repeated_splits.png").stat().st_size > 10_000


def test_the_figure_has_a_dot_per_split_and_equal_baselines_once(repeats: Repeats) -> None:
    (axes,) = repeats.figure().axes
    labels = [text.get_text().replace("\n", " ") for text in axes.get_yticklabels()]
    assert labels == ["ensemble (champion)", "random forest", "closed-form least squares (and 1 equal to it)"]
    assert xs(line(axes, "ensemble (champion)")) == pytest.approx([0.90, 0.88, 0.86])
    assert xs(line(axes, "random forest, mean")) == [pytest.approx(1 - 37 / 300)]
    assert line(axes, "ensemble (champion)").get_fillstyle() == "full"
    assert line(axes, "random forest").get_fillstyle() == "none"
    assert axes.get_xlabel() == "test R², higher is better"
    assert repeats.sentence in texts(repeats.figure()).replace("\n", " ")


def test_the_figure_marks_means_off_the_scale_and_counts_what_it_does_not_show() -> None:
    rows = [("champion", [0.5, 0.6, 0.55]), ("wild", [0.5, 0.52, -1e6]), ("broken", [0.4, 0.5, np.nan])]
    figure = repeated_splits(rows, "test/r2", "", "A sentence.")
    (axes,) = figure.axes
    low = axes.get_xlim()[0]
    assert low > 0
    assert (xs(line(axes, "wild, off the scale")), xs(line(axes, "wild, mean"))) == ([low], [low])
    assert line(axes, "wild, mean").get_marker() == "<"
    assert line(axes, "champion, mean").get_marker() == "|"
    labels = [found.get_label() for found in axes.lines]
    assert not {"broken, off the scale", "broken, mean"} & {*labels}
    said = texts(figure).replace("\n", " ")
    assert "1 of 9 values are far off the scale" in said
    assert "1 of 9 are not finite, and left out" in said


def test_where_an_r2_is_hopeless_the_figure_shows_rmse(tmp_path: Path) -> None:
    books = [_judged(tmp_path, seed, {**dict.fromkeys(VAL, 10.0 + seed), "random_forest": 400.0}, val=VAL) for seed in range(2)]
    (axes,) = read_repeats(books).figure().axes
    assert axes.get_xlabel() == "test RMSE [dollars], lower is better"


def test_rows_after_an_origin_count_nowhere(tmp_path: Path) -> None:
    books = [
        _judged(tmp_path, place, dict.fromkeys(VAL, 1.0 + place), *time, val=VAL)
        for place, time in enumerate((("split=time_ordered", "split.until=0.6"), ("split=time_ordered",)))
    ]
    found = read_repeats(books)
    # 60 % of 1,338 rows are 803.
    assert found.train_rows == (703, 1238)
    assert found.splits == ("until 0.6", "until 1")


def test_books_that_make_no_verdict(tmp_path: Path) -> None:
    books = _books(tmp_path)
    with pytest.raises(ConfigError, match="needs two studies at least, but got 1"):
        read_repeats(books[:1])
    other = _judged(tmp_path / "other", 0, dict.fromkeys(VAL, 1.0), "objective=val/mae", val=VAL)
    with pytest.raises(ConfigError, match="differ in more than their split"):
        read_repeats([*books, other])
    for more, said in (
        ("sampler=random", r"sampler\.kind is 'tpe' and 'random'"),
        ("seed=7", "seed is 0 and 7"),
        ("n_trials=7", "n_trials is 40 and 7"),
        ("champion=bag", r"champion\.kind is 'ensemble' and 'bag'"),
    ):
        unlike = _judged(tmp_path / more, 9, dict.fromkeys(VAL, 1.0), more, val=VAL)
        with pytest.raises(ConfigError, match=said):
            read_repeats([*books, unlike])
    with pytest.raises(ConfigError, match="have the same split: seed 1"):
        read_repeats([*books, books[1]])
    books[1].remove("champion")
    books[1].folder.joinpath("champion").rename(tmp_path / "gone")
    with pytest.raises(ConfigError, match="'seed1' has not been judged yet"):
        read_repeats(books)


def test_splits_count_up_seeds_and_change_nothing_else() -> None:
    config = compose(["split.seed=3", "study=mine"])[0]
    found = splits_of(config, 3)
    assert [one.split.seed for one in found if not isinstance(one.split, TimeOrderedSplit)] == [3, 4, 5]
    assert [one.study for one in found] == ["mine-seed3", "mine-seed4", "mine-seed5"]
    assert all(one.model_copy(update={"split": config.split, "study": "mine"}) == config for one in found)
    assert splits_of(compose([])[0], 2)[0] == compose([])[0]
    assert splits_of(compose(["split.seed=1000000", "study=mine"])[0], 2)[1].study == "mine-seed1000001"


def test_what_a_function_was_seen_to_draw_makes_no_other_study() -> None:
    config = compose(["space=function", "space.function=json:loads"])[0]
    found = {"a": IntRange(type="int", low=1, high=3)}
    recorded = config.model_copy(update={"space": config.space.model_copy(update={"found": found, "always": ("a",)})})
    assert recorded != config
    assert _as_composed(recorded) == _as_composed(config)
    assert _as_composed(recorded) != _as_composed(compose(["space=function", "space.function=json:dumps"])[0])


def test_in_time_splits_are_origins_that_end_with_the_configured_one() -> None:
    whole = compose(["split=time_ordered"])[0]
    found = splits_of(whole, 5)
    assert [one.split.until for one in found] == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0])
    assert found[-1] == whole
    half = splits_of(compose(["split=time_ordered", "split.until=0.5"])[0], 2)
    assert [one.split.until for one in half] == pytest.approx([0.3, 0.5])


@pytest.mark.parametrize("splits", [1, 0, -3])
def test_one_split_is_refused(splits: int) -> None:
    with pytest.raises(
        ConfigError, match=f"at least 2 are needed, but got {splits}: the interval is made of how much splits differ"
    ):
        splits_of(compose([])[0], splits)


def test_seeds_beyond_the_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"split\.\S*seed"):
        splits_of(compose([f"split.seed={2**32 - 1}"])[0], 2)


def test_until_is_part_of_what_a_study_is_only_where_it_leaves_rows_out() -> None:
    # Studies of all rows keep the names that they had before there was such a key.
    whole = compose(["split=time_ordered"])[0]
    assert "split.until" not in identity(whole, "0" * 64)
    assert identity(splits_of(whole, 2)[0], "0" * 64)["split.until"] == 0.6


def test_origins_that_leave_the_same_rows_are_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *(f"{row},{row % 7}" for row in range(60))]))
    overrides = ["dataset=csv", f"dataset.path={tmp_path / 't.csv'}", "dataset.target=y", "split=time_ordered"]
    with pytest.raises(ConfigError, match=r"--splits: of 30 origins in 60 rows only 25 differ; set --splits 12"):
        repeat_splits(overrides, splits=30, workspace=tmp_path / "mlruns")
    assert not (tmp_path / "mlruns").exists()
