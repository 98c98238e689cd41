"""The study in MLflow's UI, opened in a real browser through the addresses that regsweep prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.e2e.browser import BROWSER, DRIVER, Page, browse, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER.is_file() and DRIVER.is_file()), reason=f"needs {BROWSER} and {DRIVER}"),
]

# The grid moves columns without moving their elements.
HEADERS = """
    const left = cell => cell.getBoundingClientRect().left
    return [...document.querySelectorAll('.ag-header-cell')].sort((a, b) => left(a) - left(b)).map(cell => cell.innerText.trim())
"""
CURVES = """
    return Object.fromEntries([...document.querySelectorAll('.js-plotly-plot')].map(plot => [
        plot.data[0].metricKey, Object.fromEntries(plot.data.map(trace => [trace.name, [...trace.y]]))]))
"""
DRAWN = """
    const canvas = document.querySelector('.parcoords canvas.foreground');
    return canvas !== null && canvas.width > 0 &&
        canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value > 0)
"""


@pytest.fixture(scope="module")
def printed(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `regsweep ui` prints; the server runs meanwhile, and nothing of it is left afterwards."""
    with serve(study, tmp_path_factory.mktemp("ui") / "log.txt") as text:
        yield text


@pytest.fixture(scope="module")
def browser(printed: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browse(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The browser; the page must not have logged errors when the test is over."""
    browser.errors()
    yield browser
    assert browser.errors() == []


@pytest.fixture(scope="module")
def address(printed: str) -> str:
    """The trials' page as `regsweep ui` prints it."""
    found = re.search(r"^houses: (http://\S+)$", printed, re.MULTILINE)
    assert found, printed
    return found[1]


@pytest.fixture(scope="module")
def client(study: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{study}/mlruns/mlflow.db")


@pytest.fixture(scope="module")
def trials(client: MlflowClient) -> dict[str, Run]:
    """The trials' runs by their names, best first."""
    runs = client.search_runs(["1"], "tags.`regsweep.kind` = 'trial'", order_by=["metrics.`final/val/mse`"])
    return {run.info.run_name: run for run in runs}


def test_the_study_prints_the_same_address_but_for_the_port(study: Path, address: str) -> None:
    path = address.split("/#/")[1]
    assert f"regsweep ui, then http://127.0.0.1:5000/#/{path}" in (study / "printed.txt").read_text()


def test_the_runs_table_shows_trials_best_first_with_scores_and_hyperparameters(
    page: Page, address: str, trials: dict[str, Run]
) -> None:
    page.open(address)
    page.wait_for(".ag-pinned-left-cols-container .ag-row", least=3)
    wanted = ["final/val/mse", "final/val/mae", "final/val/r2", "depth", "width", "activation", "learning_rate", "epochs",
              "batch_size", "optimizer", "dropout", "l2"]  # fmt: skip
    page.until(lambda: [text for text in page.driver.execute_script(HEADERS) if text in wanted] == wanted)
    for row, name in enumerate(trials):
        assert name in page.texts(f".ag-pinned-left-cols-container .ag-row[row-index='{row}']")[0].splitlines()
    (best,) = page.texts(".ag-row[row-index='0'] .ag-cell[col-id='metrics.`final/val/mse`']")
    assert float(best) == next(iter(trials.values())).data.metrics["final/val/mse"]
    assert page.texts("[data-testid=saved-views-trigger]") == ["Trials"]


def test_curves_of_the_trials_and_parallel_coordinates_are_drawn(
    page: Page, address: str, trials: dict[str, Run], client: MlflowClient
) -> None:
    page.open(f"{address}&compareRunsMode=CHART")
    page.wait_for(".js-plotly-plot .scatterlayer .trace", least=3 * len(trials))
    metrics = ("val/mse", "val/mae", "val/r2")
    drawn = page.until(lambda: set(metrics) <= set(curves := page.driver.execute_script(CURVES)) and curves)
    for metric in metrics:
        assert drawn[metric].keys() == trials.keys()
        for name, run in trials.items():
            history = client.get_metric_history(run.info.run_id, metric)
            assert drawn[metric][name] == [point.value for point in sorted(history, key=lambda point: point.step)]
    (area,) = page.find("[data-testid=experiment-view-compare-runs-chart-area]")
    page.driver.execute_script("arguments[0].scrollTop = 400", area)
    page.until(lambda: page.driver.execute_script(DRAWN))
    axes = page.texts(".parcoords")[0]
    for name in ("depth", "learning_rate", "batch_size", "optimizer", "l2", "final/val/mse"):
        assert name in axes


def test_selected_trials_are_compared(page: Page, address: str) -> None:
    page.open(address)
    for row in (0, 1):
        page.click(f".ag-pinned-left-cols-container .ag-row[row-index='{row}'] .ag-checkbox-input-wrapper")
    page.click("[data-testid=runs-compare-button]")
    page.until(lambda: "Comparing 2 Runs from 1 Experiment" in page.texts("body")[0])
    page.until(lambda: "val/mse" in page.texts(".js-plotly-plot .axis-title"))
    assert len(page.texts(".js-plotly-plot .axis-title")) >= 3


def test_champion_and_baselines_stand_in_a_view_of_their_own(page: Page, address: str) -> None:
    page.open(f"{address}-judged")
    page.wait_for(".ag-pinned-left-cols-container .ag-row", least=16)
    names = " ".join(page.texts(".ag-pinned-left-cols-container .ag-row"))
    for name in ("champion (", "least_squares_qr", "ridge_cv", "random_forest"):
        assert name in names
    assert {"val/mse", "test/mae", "test/mae/low", "test/mae/high", "test/r2"} <= set(page.texts(".ag-header-cell"))


def artifact(address: str, run: Run, name: str) -> str:
    return f"{address.partition('/runs?')[0]}/runs/{run.info.run_id}/artifacts/{name}"


def test_the_leaderboard_shows_as_a_table(page: Page, study: Path, address: str, client: MlflowClient) -> None:
    (parent,) = client.search_runs(["1"], "tags.`regsweep.kind` = 'study'")
    page.open(artifact(address, parent, "leaderboard.json"))
    (place,) = (study / "mlruns" / "records").glob("*/report/leaderboard.csv")
    names = list(pd.read_csv(place)["name"])
    page.until(lambda: set(names) <= set(page.texts("[role=cell], td")))
    assert "View as table" in page.texts("body")[0]
    assert [text for text in page.texts("[role=cell], td") if text in names] == names
    assert {"rank", "val_mse", "val_mae"} <= set(page.texts("[role=columnheader], th"))


def test_the_differences_show_as_a_table(page: Page, address: str, client: MlflowClient) -> None:
    (champion,) = client.search_runs(["1"], "tags.`regsweep.kind` = 'champion'")
    page.open(artifact(address, champion, "differences.json"))
    page.until(lambda: {"least_squares_qr", "random_forest"} <= set(page.texts("[role=cell], td")))
    assert {"baseline", "metric", "value", "low", "high"} <= set(page.texts("[role=columnheader], th"))


def test_a_plot_of_the_report_shows(page: Page, address: str, client: MlflowClient) -> None:
    (parent,) = client.search_runs(["1"], "tags.`regsweep.kind` = 'study'")
    page.open(artifact(address, parent, "parallel_coordinates.png"))
    page.until(lambda: page.driver.execute_script("return [...document.images].some(image => image.naturalWidth > 500)"))
