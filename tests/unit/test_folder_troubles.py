"""What is said of a folder's troubles, in the log and where all may read it."""

from __future__ import annotations

import pytest

from bridge.folder.retry import Troubles


def test_the_log_names_files_and_what_all_may_read_counts_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    troubles = Troubles("share")
    for name in ("a", "b", "a"):
        troubles.begins(name, f"{name} stays in input: full", "files stay in input: full")
    troubles.begins("c", "c is being written", "files are being written")
    troubles.begins("/out", "/out cannot be read")
    assert troubles.counted == [
        "files stay in input: full (2)",
        "files are being written",
        "/out cannot be read",
    ]
    assert troubles.unnamed["b"] == "files stay in input: full"
    assert [record.getMessage() for record in caplog.records] == [
        "folder share: a stays in input: full",
        "folder share: b stays in input: full",
        "folder share: c is being written",
        "folder share: /out cannot be read",
    ]
    troubles.forget(["a"])
    assert troubles.counted[0] == "files stay in input: full"
