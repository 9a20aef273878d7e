"""The emulated KATA answers in the documented shapes (help pages 176838, 176830, 176836, 176834,
181506, 247806)."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.emulator import EICAR, Emulator
from bridge.emulator.script import Script, read_script
from bridge.emulator.tls import TlsStream, server_context
from tests.support.certificates import put_certificate
from tests.support.commands import Done, call
from tests.support.processes import Program, accepts, free_port, module

SENSOR = "4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f"


class Client:
    """An external system with a certificate of its own."""

    def __init__(self, emulator: Emulator, folder: Path, name: str = "client") -> None:
        put_certificate(folder / f"{name}.pem", folder / f"{name}.key", name)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.cert = (str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
        self.session.verify = str(emulator.certificate)
        self.base = f"{emulator.url}/kata/scanner/v1/sensors/{SENSOR}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.base + path, timeout=20, **options)

    def submit(self, scan_id: str, content: bytes, instance: str = "") -> requests.Response:
        query = f"?sensorInstanceId={instance}" if instance else ""
        return self.call(
            "POST",
            f"/scans{query}",
            data={"scanId": scan_id, "objectType": "file"},
            files={"content": ("name.bin", content)},
        )

    def states(self, query: str = "state=detect,not%20detected,processing,error,timeout") -> Any:
        response = self.call("GET", f"/scans/state?{query}")
        return response.json() if response.status_code == 200 else response.status_code


@pytest.fixture
def client(kata: Emulator, tmp_path: Path) -> Iterator[Client]:
    kata.memory.delay = 0
    made = Client(kata, tmp_path)
    yield made
    made.session.close()


def test_a_scan_from_submission_to_delete(client: Client) -> None:
    answer = client.submit("one", b"harmless")
    assert (answer.status_code, answer.text) == (200, "OK")
    assert client.states() == {"scans": [{"scanId": "one", "state": "not detected"}]}
    gone = client.call("DELETE", "/scans/one")
    assert (gone.status_code, gone.text) == (200, "OK")
    assert client.call("DELETE", "/scans/one").status_code == 404
    assert client.states() == 404


def test_eicar_is_detected_wherever_it_stands(client: Client) -> None:
    client.submit("whole", EICAR)
    client.submit("inside", b"--form\r\n\r\n" + EICAR + b"\r\n--form--")
    states = {scan["scanId"]: scan["state"] for scan in client.states()["scans"]}
    assert states == {"whole": "detect", "inside": "detect"}


def test_a_scan_is_processing_for_its_delay(kata: Emulator, client: Client) -> None:
    kata.memory.delay = 60
    client.submit("slow", b"x")
    assert client.states() == {"scans": [{"scanId": "slow", "state": "processing"}]}
    assert client.states("state=detect") == 204


@pytest.mark.parametrize("state", ["detect", "not detected", "processing", "error", "timeout"])
def test_content_asks_for_a_state(client: Client, state: str) -> None:
    client.submit("one", b"#kata state=%b delay=0\nrest" % state.replace(" ", "_").encode())
    assert client.states() == {"scans": [{"scanId": "one", "state": state}]}


def test_content_asks_for_a_delay(client: Client) -> None:
    client.submit("one", b"#kata state=detect delay=60\n")
    assert client.states()["scans"][0]["state"] == "processing"


@pytest.mark.parametrize("status", [429, 413, 500])
def test_content_asks_for_a_fault(client: Client, status: int) -> None:
    assert client.submit("one", b"#kata http=%d\n" % status).status_code == status
    assert client.states() == 404


def test_content_asks_for_faults_at_first(client: Client) -> None:
    content = b"#kata http=500 times=2\n"
    assert [client.submit("a", content).status_code for _ in range(3)] == [500, 500, 200]


def test_content_asks_for_no_answer(client: Client) -> None:
    with pytest.raises(requests.ConnectionError):
        client.submit("one", b"#kata http=drop\n")
    assert client.states() == 404


@pytest.mark.parametrize(
    ("content", "script"),
    [
        (b"", Script()),
        (b"#kata", Script()),
        (b"#kata state=perhaps\n", Script()),
        (b"#kata http=200\n", Script()),
        (b"#kata delay=soon\n", Script()),
        (b"# kata state=detect\n", Script()),
        (b"x\n#kata state=detect\n", Script()),
        (b"#kata state=detect\r\nx", Script(state="detect")),
    ],
)
def test_a_line_that_is_not_understood_asks_for_nothing(content: bytes, script: Script) -> None:
    assert read_script(content) == script


@pytest.mark.parametrize(
    "form",
    [
        {"objectType": "file"},
        {"scanId": "", "objectType": "file"},
        {"scanId": "1"},
        {"scanId": "1", "objectType": "url"},
        {"scanid": "1", "objectType": "file"},
        {"scanId": "1", "objecttype": "file"},
    ],
)
def test_fields_are_needed_and_case_sensitive(client: Client, form: dict[str, str]) -> None:
    answer = client.call("POST", "/scans", data=form, files={"content": ("n", b"x")})
    assert answer.status_code == 400


def test_the_file_is_needed(client: Client) -> None:
    form = {"scanId": "1", "objectType": "file"}
    answer = client.call("POST", "/scans", data=form, files={"Content": ("n", b"x")})
    assert answer.status_code == 400


def test_instances_see_their_own_scans_and_the_sensor_all(client: Client) -> None:
    client.submit("a", b"x", instance="gw.icap.0")
    client.submit("b", b"y", instance="gw.folder.0")
    all_states = "state=not%20detected"
    assert len(client.states(all_states)["scans"]) == 2
    own = client.states(f"sensorInstanceId=gw.icap.0&{all_states}")
    assert own == {"scans": [{"scanId": "a", "state": "not detected"}]}
    assert client.states(f"sensorInstanceId=other&{all_states}") == 404


def test_an_empty_scan_id_deletes_everything(client: Client) -> None:
    client.submit("a", b"x")
    client.submit("b", b"y")
    assert client.call("DELETE", "/scans/").status_code == 200
    assert client.states() == 404


def test_limits(kata: Emulator, client: Client) -> None:
    filters = client.call("GET", "/scans/filters").json()
    assert filters == {"maxObjectSize": 104857600, "version": "emulator"}
    kata.memory.max_object_size = 10
    assert client.submit("a", b"x" * 11).status_code == 413
    assert client.submit("a", b"x" * 10).status_code == 200


def test_too_many_at_once(kata: Emulator, client: Client) -> None:
    kata.memory.delay, kata.memory.max_in_flight = 60, 1
    assert client.submit("a", b"x").status_code == 200
    assert client.submit("b", b"y").status_code == 429


def test_alerts_carry_hashes_and_no_scan_id_and_go_on_by_token(client: Client) -> None:
    client.submit("a", b"harmless")
    client.submit("b", EICAR)
    first = client.call("GET", "/detects?detect_type=am,sb&limit=100").json()
    (alert,) = first["detects"]
    assert alert["object"]["processedObject"]["MD5"] == "44d88612fea8a8f36de82e1278abb02f"
    assert alert["objectSource"] == "external"
    assert alert["detection"]["detect"] == ["EICAR-Test-File"]
    assert "scanId" not in alert
    more = client.call("GET", f"/detects?detect_type=am&token={first['token']}").json()
    assert more["detects"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/scans", 405), ("POST", "/scans/state", 405), ("GET", "/nothing", 404)],
)
def test_what_is_no_call(client: Client, method: str, path: str, status: int) -> None:
    assert client.call(method, path).status_code == status


def test_a_system_waits_for_its_acceptance(kata: Emulator, client: Client, tmp_path: Path) -> None:
    kata.memory.accept = "manual"
    assert client.submit("a", b"x").status_code == 401
    assert client.states() == 401
    done = emulate(tmp_path / "kata", "--accept-sensor", SENSOR)
    assert (done.returncode, done.stdout) == (0, f"{SENSOR} is accepted\n")
    assert client.submit("a", b"x").status_code == 200


def test_another_certificate_is_another_system(
    kata: Emulator, client: Client, tmp_path: Path
) -> None:
    assert client.submit("a", b"x").status_code == 200
    other = Client(kata, tmp_path, "other")
    assert other.submit("b", b"x").status_code == 401
    assert client.states() != 401
    emulate(tmp_path / "kata", "--accept-sensor", SENSOR)
    assert other.submit("b", b"x").status_code == 200
    assert client.states() == 401, "the old certificate is still taken"
    other.session.close()


def test_no_client_certificate_no_conversation(kata: Emulator) -> None:
    sensor = f"{kata.url}/kata/scanner/v1/sensors/{SENSOR}/scans/state"
    with pytest.raises(requests.exceptions.ConnectionError):  # the alert itself may get lost
        requests.get(sensor, verify=str(kata.certificate), timeout=20)
    assert not kata.memory.calls


def test_a_client_that_broke_off_does_not_disturb_the_stop(kata: Emulator, tmp_path: Path) -> None:
    put_certificate(tmp_path / "client.pem", tmp_path / "client.key", "client")
    trust = ssl.create_default_context(cafile=kata.certificate)
    trust.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    context = server_context(kata.certificate, kata.certificate.with_name("server.key"))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(1) as pool,
    ):
        dialled = socket.create_connection(listener.getsockname())
        shaking = pool.submit(trust.wrap_socket, dialled, server_hostname="127.0.0.1")
        accepted, _ = listener.accept()
        with accepted, TlsStream(context, accepted) as stream:
            client = shaking.result(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()  # with a reset: nothing is connected any more
            stream.cut()


def test_an_unknown_sensor_cannot_be_accepted(tmp_path: Path) -> None:
    done = emulate(tmp_path, "--accept-sensor", "nobody")
    assert done.returncode == 1
    assert done.stderr == (
        f"kata-bridge emulate: nobody has not knocked at the KATA in {tmp_path} yet.\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("sensors.json", "{", "sensors.json is damaged; remove it"),
        ("sensors.json", '{"a": 1}', "sensors.json is damaged; remove it"),
        ("server.pem", "junk", "holds only one of server.pem and server.key"),
    ],
)
def test_an_odd_folder_is_one_sentence(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    done = emulate(tmp_path, "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "option", [["--delay", "nan"], ["--delay", "-5"], ["--max-in-flight", "-1"]]
)
def test_odd_options_are_refused(tmp_path: Path, option: list[str]) -> None:
    done = emulate(tmp_path, *option)
    assert done.returncode == 2
    assert option[0] in done.stderr


def test_a_taken_port_is_one_sentence(kata: Emulator, tmp_path: Path) -> None:
    done = emulate(tmp_path / "second", "--listen", str(kata.address))
    assert done.returncode == 1
    assert done.stderr.startswith(f"kata-bridge emulate: cannot listen on {kata.address}")
    assert done.stderr.endswith("Address already in use.\n")


def test_the_command_serves_and_says_what_it_is(tmp_path: Path) -> None:
    port = free_port()
    command = [*module("bridge.cli"), "emulate", "--state", tmp_path, "--listen"]
    program = Program([*command, f"127.0.0.1:{port}", "--delay", "0"], tmp_path / "out")
    program.wait_for(lambda: "certificate" in program.output(), "the emulator")
    assert "demonstration and tests" in program.output()
    assert (tmp_path / "server.pem").exists()
    assert accepts(port)
    assert program.stop() == 0


def emulate(state: Path, *more: str) -> Done:
    return call("emulate", "--state", state, *more)
