"""What the search keeps under `search.order=free`, asked and told in any order; and when a study ends that is told so."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import pytest

from regsweep.budget import Budget
from regsweep.config import StudyConfig, compose
from regsweep.config.search import REMEMBERING
from regsweep.errors import ConfigError
from regsweep.paths import Workspace
from regsweep.record import identity, study_name
from regsweep.search import FreeSearch, Told, kept_trials, open_search
from regsweep.search.pruning import Asked, PruneRule
from regsweep.trial import Scalar, State
from tests.helpers import FINITE_SPACE, SAMPLERS, each_of, go_on, search_config, spec, trained, value_of

FREE = tuple(sampler for sampler in SAMPLERS if sampler not in REMEMBERING)
# What they propose does not depend on results.
UNLEARNED = tuple(sampler for sampler in FREE if sampler not in ("tpe", "gp", "brute_force"))


@cache
def configured(sampler: str, *overrides: str) -> StudyConfig:
    return search_config(sampler, "search.order=free", *overrides)


def opened(folder: Path, sampler: str, *overrides: str) -> FreeSearch:
    search = open_search(Workspace(folder), "s", configured(sampler, *overrides))
    assert isinstance(search, FreeSearch)
    return search


def gone_through(
    search: FreeSearch, n_trials: int, *, seed: int = 0, stop_after: int | None = None, taken: Sequence[Told] = ()
) -> list[Told]:
    """Ask and tell with four under way, which end in an order drawn from the seed; what was told by the end, in that order."""
    search.take_over(taken)
    draw, ended = Random(seed), list(taken)
    under_way = list(search.next_batch(n_trials, under_way=4))
    while under_way and len(ended) != stop_after:
        one = under_way.pop(draw.randrange(len(under_way)))
        search.tell(one.number, State.COMPLETE, value_of(one.params))
        ended.append(Told(one.number, State.COMPLETE, value_of(one.params), one.params))
        if search.waiting() < 4:
            under_way += search.next_batch(n_trials, under_way=4)
    return ended


def by_number(told: Sequence[Told]) -> list[tuple[int, dict[str, Scalar]]]:
    return sorted((one.number, dict(one.params)) for one in told)


@each_of(FREE)
def test_every_number_is_told_once_and_kept_in_order(tmp_path: Path, sampler: str) -> None:
    ended = gone_through(opened(tmp_path, sampler), 24)
    assert [one.number for one in ended] != list(range(24))
    assert [number for number, _ in by_number(ended)] == list(range(24))
    assert len({json.dumps(dict(one.params), sort_keys=True) for one in ended}) == 24
    kept = kept_trials(Workspace(tmp_path), "s")
    assert [one and one.value for one in kept] == [one.value for one in sorted(ended, key=lambda one: one.number)]


@each_of(FREE)
@pytest.mark.parametrize("cut", [3, 10])
def test_a_study_that_goes_on_takes_over_what_ended_and_fills_the_gaps(tmp_path: Path, sampler: str, cut: int) -> None:
    ended = gone_through(opened(tmp_path, sampler), 24, stop_after=cut)
    told = len(kept_trials(Workspace(tmp_path), "s"))
    assert told < cut, "something must be held back for this to test anything"
    search = opened(tmp_path, sampler)
    assert [one.number for one in search.told()] == list(range(told))
    # In the order in which their records lie on disk.
    beyond = sorted((one for one in ended if one.number >= told), key=lambda one: one.number)
    everything = [*search.told(), *gone_through(search, 24, seed=1, taken=beyond)]
    assert [number for number, _ in by_number(everything)] == list(range(24))
    assert len({json.dumps(dict(one.params), sort_keys=True) for one in everything}) == 24
    assert all(one in by_number(everything) for one in by_number(ended))
    assert len(kept_trials(Workspace(tmp_path), "s")) == 24
    if sampler in UNLEARNED:
        assert by_number(everything) == [
            (number, params) for number, params, _ in go_on(tmp_path / "fixed", search_config(sampler), 24)
        ]


def test_gaps_are_proposed_whatever_the_number_of_trials(tmp_path: Path) -> None:
    ended = gone_through(opened(tmp_path, "tpe"), 24, stop_after=10)
    search = opened(tmp_path, "tpe")
    search.take_over([one for one in ended if one.number >= len(search.told())])
    gaps = set(range(search.top)) - {one.number for one in ended}
    assert search.top > len(search.told())
    assert {one.number for one in search.next_batch(0)} == gaps
    assert search.next_batch(0) == ()


def test_a_sampler_knows_of_trials_that_ended_before_one_with_a_lower_number(tmp_path: Path) -> None:
    proposed = []
    for name, sign in (("one", 1), ("two", -1)):
        search = opened(tmp_path / name, "tpe")
        for one in search.next_batch(12, 12, under_way=12)[1:]:
            search.tell(one.number, State.COMPLETE, sign * value_of(one.params))
        assert search.told() == ()
        (after,) = search.next_batch(13)
        proposed.append((after.number, dict(after.params)))
    assert proposed[0][0] == proposed[1][0] == 12
    assert proposed[0][1] != proposed[1][1]


@pytest.mark.parametrize("sampler", ["grid", "brute_force", "tpe"])
def test_a_finite_space_is_gone_through_once_over_interruptions(tmp_path: Path, sampler: str) -> None:
    def search() -> FreeSearch:
        return opened(tmp_path, sampler, *FINITE_SPACE)

    ended = gone_through(search(), 40, stop_after=20)
    again = search()
    told = gone_through(again, 40, taken=[one for one in ended if one.number >= len(again.told())])
    everything = {one.number: json.dumps(dict(one.params), sort_keys=True) for one in (*ended, *told)}
    assert sorted(everything) == list(range(26))
    assert len({*everything.values()}) == 26
    assert again.ended is not None
    assert "after 26 trials" in again.ended


def test_a_gap_is_filled_even_where_everything_has_been_tried(tmp_path: Path) -> None:
    every = gone_through(opened(tmp_path / "every", "brute_force", *FINITE_SPACE), 40)
    search = opened(tmp_path / "gap", "brute_force", *FINITE_SPACE)
    # As if another version had proposed number 26, and been killed before number 25 ended.
    taken = [Told(one.number + (one.number == 25), one.state, one.value, one.params) for one in every]
    told = gone_through(search, 40, taken=sorted(taken, key=lambda one: one.number))
    assert [number for number, _ in by_number(told)] == list(range(27))


def test_what_is_enqueued_and_lacks_is_tried_when_the_study_goes_on(tmp_path: Path) -> None:
    enqueue = "enqueue=[{depth: 2, width: 9},{depth: 0, batch_size: 16}]"
    search = opened(tmp_path, "tpe", enqueue)
    batch = search.next_batch(8)
    for one in batch[1:]:
        search.tell(one.number, State.COMPLETE, value_of(one.params))
    again = opened(tmp_path, "tpe", enqueue)
    again.take_over([Told(one.number, State.COMPLETE, value_of(one.params), one.params) for one in batch[1:]])
    (lacks,) = again.next_batch(3)
    assert lacks == batch[0]
    assert {"depth": 2, "width": 9}.items() <= lacks.params.items()


def test_a_trial_is_compared_with_all_that_were_told_when_it_begins(tmp_path: Path) -> None:
    search = opened(tmp_path, "random", "pruner=median")
    search.next_batch(8, under_way=8)
    for number in (5, 2):
        search.tell(number, State.COMPLETE, 1.0)
    rule = search.rule({number: spec(seed=number) for number in (0, 1)})
    assert rule is not None
    assert [one.number for one in rule.seen] == [2, 5]
    assert {one.bound for one in rule.asked.values()} == {2}


def test_a_trial_keeps_its_bracket_though_others_are_in_training() -> None:
    study = search_config("random", "pruner=hyperband", "pruner.min_epochs=1", "space.parameters.epochs=27")
    told = [Told(number, State.FAILED, None, {}) for number in range(10)]
    told[7] = Told(7, State.COMPLETE, 0.1, {}, reports={1: 0.1}, marks={f"completed_rung_{rung}": 0.1 for rung in range(4)})
    mine = {spec(seed=number): Asked(number, 10) for number in range(10, 40)}
    curves = trained(mse=5.0, epochs=27).curves
    curves[:] = 5.0
    gaps, whole = PruneRule(study, told[7:8], mine), PruneRule(study, told, mine)
    stopped = [one for one in mine if gaps(one, [curves[:1]])]
    assert stopped == [one for one in mine if whole(one, [curves[:1]])]
    assert 0 < len(stopped) < 30


@pytest.mark.parametrize("sampler", REMEMBERING)
def test_samplers_that_remember_the_order_are_refused(sampler: str) -> None:
    with pytest.raises(
        ConfigError, match=f"search.order: {sampler} remembers in which order .* but got 'free'; set search.order="
    ):
        search_config(sampler, "search.order=free")


def test_an_unknown_order_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"search\.order: must be one of fixed, free \(did you mean free\?\), but got 'fre'"):
        compose(["search.order=fre"])


def test_the_order_is_part_of_what_a_study_is_unless_it_is_fixed() -> None:
    fixed, free = compose([])[0], compose(["search.order=free"])[0]
    assert "search.order" not in identity(fixed, "")
    assert identity(free, "") == {**identity(fixed, ""), "search.order": "free"}
    assert study_name(fixed, "") != study_name(free, "")


@pytest.mark.parametrize("budget", ["budget.no_improvement=2", "budget.target=1"])
def test_when_a_budget_ends_a_study_does_not_depend_on_the_order_of_telling(budget: str) -> None:
    config = compose([budget, "n_trials=9"])[0]
    for values in ([3.0, 1.0, 1.0, 2.0], [3.0, 2.0, 2.5, 1.5], [5.0, None, 4.0, 4.0], [None, None, None, None]):
        told = [Told(n, State.FAILED if value is None else State.COMPLETE, value, {}) for n, value in enumerate(values)]
        assert len({Budget(config, order, lambda: 0).spent() for order in itertools.permutations(told)}) == 1
    told = [Told(n, State.COMPLETE, value, {}) for n, value in enumerate([2.0, 1.0, 1.5, 1.5])]
    assert Budget(config, reversed(told), lambda: 0).spent() is not None
