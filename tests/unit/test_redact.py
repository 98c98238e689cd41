from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from regsweep.errors import ConfigError
from regsweep.redact import VARIABLES, Sink, holds_secret, redact

# What goes in, and what is left of it; the first ones are refused in a config, too.
URIS = {
    "http://bob:s3cret@host:5000/x": "http://bob:***@host:5000/x",
    "postgresql://bob:p@ss/w:rd@host/db": "postgresql://bob:***@host/db",
    "mysql://bob@tenant:s3cret@host/db": "mysql://bob@tenant:***@host/db",
    "http://bob:12345@host/x": "http://bob:***@host/x",
    "http://bob:2024#s3cret@host:5000": "http://bob:***@host:5000",
    "postgresql://bob:1/x?s3cret@db/runs": "postgresql://bob:***@db/runs",
    "https://ghp_s3cret@host/x": "https://***@host/x",
    "https://host/x?password=s3cret&rows=3&sig=s3cret": "https://host/x?password=***&rows=3&sig=***",
    "https://host/x?a=1;Access_Token=s3cret": "https://host/x?a=1;Access_Token=***",
    "s3://b/k?X-Amz-Signature=s3cret&X-Amz-Date=20260101": "s3://b/k?X-Amz-Signature=***&X-Amz-Date=20260101",
    "https://host/#access_token=s3cret": "https://host/#access_token=***",
}
TEXTS = {
    "can't reach 'http://bob:s3cret@host'; try 'http://host:80'": "can't reach 'http://bob:***@host'; try 'http://host:80'",
    "Authorization: Basic s3cret==\nHost: a": "Authorization: ***\nHost: a",
    "{'Authorization': 'Bearer s3cret', 'Host': 'a'}": "{'Authorization': '***', 'Host': 'a'}",
    r"{\"authorization\": \"s3cret\", \"host\": 1}": r"{\"authorization\": \"***\", \"host\": 1}",
    "Cookie=s3cret; more": "Cookie=***",
    "sent Bearer abcdefgh1234.x_y": "sent Bearer ***",
    "dbname=runs password=s3cret host=a": "dbname=runs password=*** host=a",
    "dbname=runs password='s3c ret' host=a": "dbname=runs password=*** host=a",
    "dbname=runs password=*s3cret host=a": "dbname=runs password=*** host=a",
}
HARMLESS = (
    "http://127.0.0.1:5000",
    "http://127.0.0.1:5000/a@b",
    "http://localhost:5000/#/a@b",
    "http://host:5000/x",
    "http://[::1]:5000/x",
    "postgresql://bob@host/db",
    "sqlite:////home/bob/mlruns/mlflow.db",
    "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=regsweep",
    "write key=value, for example dataset=economics n_trials=200",
    'mlflow.pyfunc.load_model("models:/insurance@champion")',
)


@pytest.mark.parametrize("text", URIS | TEXTS)
def test_a_secret_is_masked_and_the_rest_stays(text: str) -> None:
    assert redact(text) == (URIS | TEXTS)[text]
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert redact(text) == text
    assert not holds_secret(text)


@pytest.mark.parametrize("text", URIS)
def test_a_uri_with_a_secret_is_found(text: str) -> None:
    assert holds_secret(text)


@pytest.mark.parametrize("name", VARIABLES)
def test_values_of_the_environment_are_masked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "a b/c+")
    assert redact("is a b/c+, in a URI a%20b%2Fc%2B") == "is ***, in a URI ***"
    monkeypatch.setenv(name, "abc")
    assert redact("abc is too short to tell from a word") == "abc is too short to tell from a word"


def test_a_value_within_another_leaves_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "canary")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "canary-long")
    assert redact("canary-long canary") == "*** ***"


def test_messages_of_errors_hold_none() -> None:
    error = ConfigError(["http://bob:s3cret@host", "b"])
    assert error.problems == ("http://bob:***@host", "b")
    assert str(error) == "http://bob:***@host\nb"


def test_a_sink_redacts_and_outlives_its_reader(tmp_path: Path) -> None:
    read, write = os.pipe()
    with io.TextIOWrapper(io.FileIO(write, "w"), "utf-8") as stream:
        sink = Sink(stream)
        sink.write("http://bob:s3cret@host\n")
        assert os.read(read, 100) == b"http://bob:***@host\n"
        os.close(read)
        sink.write("nobody reads this\n" * 10_000)
        sink.flush()


def test_a_sink_says_that_a_disk_is_full() -> None:
    with open("/dev/full", "w") as stream, pytest.raises(OSError, match="No space left"):
        Sink(stream).write("lost\n")
