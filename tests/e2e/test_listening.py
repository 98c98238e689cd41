"""What `regsweep ui` answers, and to whom."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.browser import serve, status


def test_a_foreign_host_is_refused(workspace: Path, tmp_path: Path) -> None:
    with serve(workspace.parent, tmp_path / "log.txt") as printed:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", printed)
        assert found, printed
        port = int(found[1])
        for host in ("evil.com", "10.evil.com", f"evil.com:{port}"):
            assert status(port, host) == 403
        assert status(port, f"127.0.0.1:{port}") == status(port, f"localhost:{port}") == 200
