"""A webhook is told by the folder door, as a program, of what it quarantines."""

from __future__ import annotations

from collections.abc import Callable

from bridge.emulator import EICAR
from tests.e2e.test_metrics import metrics
from tests.support.hooks import Receiver
from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, wait_until


def test_a_quarantined_file_is_one_post(site: Site, started: Callable[[Program], Program]) -> None:
    receiver, port = Receiver(), free_port()
    site.changes = {
        "notify": {"url": f"http://me:T0KEN@localhost:{receiver.port}/T0KEN"},
        "kata": {"alerts": False},
        "status": {"watch": f"127.0.0.1:{port}"},
    }
    (site.directory / "in" / "bad.com").write_bytes(EICAR)
    (site.directory / "in" / "good.txt").write_bytes(b"harmless")
    watch = started(site.start_watch())
    records = site.wait_records(2)
    wait_until(lambda: receiver.requests, "it is told")
    wait_until(lambda: metrics(port)["katabridge_notify_waiting"] == 0, "nothing waits")
    assert metrics(port)["katabridge_notify_lost"] == 0
    assert watch.stop() == 0
    receiver.close()
    (event,) = receiver.events
    (block,) = [record for record in records if record["decision"] == "block"]
    assert event == {"event": "block", "product": "katabridge", **block}
    assert event["context"]["moved_to"] == str(site.directory / "quarantine" / "bad.com")
    assert "T0KEN" not in watch.output()
