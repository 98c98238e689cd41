"""Every experiment can be run from the command line, and its page holds what its run prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.page import FOLDER, Page, write
from regsweep.config import compose
from tests.conftest import ROOT, run_cli

EXPERIMENTS = sorted(place.stem for place in (ROOT / "experiments").glob("*.yaml"))
PAGES = sorted(place.parent.name for place in (ROOT / "experiments").glob("*/page.py"))
FETCHED = ("insurance", "economics", "economics_ahead")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_first_trial_is_the_tutorials_own_and_the_first_line_its_command(name: str) -> None:
    (config,) = compose([f"experiments={name}"])
    lines = (ROOT / "experiments" / f"{name}.yaml").read_text().splitlines()
    assert lines[:2] == ["# @package _global_", f"# regsweep run experiments={name}"]
    assert config.question.endswith("?")
    assert config.enqueue or name == "economics_ahead"


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_eight_trials_run_end_to_end(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    env = {"REGSWEEP_DATA": str(request.getfixturevalue("data_folder"))} if name in FETCHED else {}
    done = run_cli("run", f"experiments={name}", "n_trials=8", cwd=tmp_path, env=env)
    assert re.search(r"8 trials", done.stdout)
    assert "Traceback" not in done.stderr
    assert "identical" in run_cli("reproduce", "champion", cwd=tmp_path, env=env).stdout


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_what_its_run_printed(name: str) -> None:
    text = (FOLDER / name / "README.md").read_text()
    assert f"*{compose([f'experiments={name}'])[0].question}*" in text
    results = (FOLDER / name / "results.txt").read_text()
    blocks = dict(re.findall(r"^\[([^\]\n]+)\]\n(.*?)(?=\n\n\[[^\]\n]+\]\n|\n\Z)", results, re.DOTALL | re.MULTILINE))
    assert blocks
    for block, content in blocks.items():
        assert f"<!-- {block} -->\n{content.strip()}\n<!-- /{block} -->" in text
    for image in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
        assert (FOLDER / name / image).is_file()


def test_a_block_without_a_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "README.md").write_text("# One\n<!-- verdict -->\nold\n<!-- /verdict -->\n")
    (tmp_path / "README.md").write_text("<!-- one -->\n<!-- /one -->\n")
    monkeypatch.setattr("experiments.page.FOLDER", tmp_path)
    write("one", Page({"verdict": "new \\1"}, {}))
    assert (tmp_path / "one" / "README.md").read_text() == "# One\n<!-- verdict -->\nnew \\1\n<!-- /verdict -->\n"
    assert (tmp_path / "README.md").read_text() == "<!-- one -->\nnew \\1\n<!-- /one -->\n"
    with pytest.raises(ValueError, match="has no place for 'b'"):
        write("one", Page({"verdict": "new", "b": "text"}, {}))
