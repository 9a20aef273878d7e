"""The five calls of KATA's scan API.

Shapes: Kaspersky's help pages 176838, 176830, 176836, 176834 and 181506.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from bridge.emulator.memory import VERSION, EmulatedScan, Memory
from bridge.emulator.script import Script

_BASE = "/kata/scanner/v1/sensors/<sensor>"
_ROUTES = Map(
    [
        Rule(f"{_BASE}/scans", methods=["POST"], endpoint="submit"),
        Rule(f"{_BASE}/scans/state", methods=["GET"], endpoint="state"),
        Rule(f"{_BASE}/scans/filters", methods=["GET"], endpoint="filters"),
        Rule(f"{_BASE}/scans/", methods=["DELETE"], endpoint="delete", defaults={"scan_id": ""}),
        Rule(f"{_BASE}/scans/<scan_id>", methods=["DELETE"], endpoint="delete"),
        Rule(f"{_BASE}/detects", methods=["GET"], endpoint="alerts"),
    ],
    strict_slashes=False,
    redirect_defaults=False,
)
_FAULTS = {"429": 429, "413": 413, "500": 500}
_THREAT = "EICAR-Test-File"


class Dropped(Exception):
    """The connection is to be cut without an answer."""


class Application:
    """Answers as the help pages say, out of a Memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._calls: dict[str, Callable[..., Response]] = {
            "submit": self._submit,
            "state": self._state,
            "delete": self._delete,
            "filters": self._filters,
            "alerts": self._alerts,
        }

    def answer(self, request: Request, peer: str) -> Response:
        """The answer to a request; `peer` is the fingerprint of the client's certificate.

        Dropped where the content asks for no answer.
        """
        try:
            endpoint, values = _ROUTES.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return Response(error.description, error.code)
        self._memory.calls[endpoint] += 1
        if self._memory.is_accepted(values["sensor"], peer):
            return self._calls[endpoint](request, **values)
        return Response("Unauthorized", 401)

    def _submit(self, request: Request, sensor: str) -> Response:
        file = request.files.get("content")
        scan_id = request.form.get("scanId", "")
        if file is None or not scan_id or request.form.get("objectType") != "file":
            return Response("Bad Request: scanId, objectType=file and content are needed", 400)
        content = file.stream.read()
        sha256 = hashlib.sha256(content).hexdigest()
        script = self._memory.script(sha256, content)
        if self._memory.fault_due(sha256, script):
            return _fail(script)
        if len(content) > self._memory.max_object_size:
            return Response("Request Entity Too Large", 413)
        if self._memory.is_busy():
            return Response("Too Many Requests", 429)
        instance = request.args.get("sensorInstanceId", "")
        self._memory.add(self._scan(script, file, content, sha256, (sensor, instance, scan_id)))
        return Response("OK")

    def _scan(
        self,
        script: Script,
        file: FileStorage,
        content: bytes,
        sha256: str,
        ids: tuple[str, str, str],
    ) -> EmulatedScan:
        sensor, instance, scan_id = ids
        delay = self._memory.delay if script.delay is None else script.delay
        return EmulatedScan(
            scan_id,
            sensor,
            instance,
            script.state,
            time.monotonic() + delay,
            file.filename or "",
            len(content),
            sha256,
            hashlib.md5(content, usedforsecurity=False).hexdigest(),
        )

    def _state(self, request: Request, sensor: str) -> Response:
        scans = self._memory.of_sensor(sensor, request.args.get("sensorInstanceId"))
        if not scans:
            return Response("Not Found", 404)
        wanted = request.args.get("state", "").split(",")
        states = [(scan.scan_id, scan.state_now()) for scan in scans]
        found = [{"scanId": scan_id, "state": s} for scan_id, s in states if s in wanted]
        return _json({"scans": found}) if found else Response(status=204)

    def _delete(self, request: Request, sensor: str, scan_id: str) -> Response:
        del request
        if self._memory.forget(sensor, scan_id):
            return Response("OK")
        return Response("Not Found", 404)

    def _filters(self, request: Request, sensor: str) -> Response:
        del request, sensor
        return _json({"maxObjectSize": self._memory.max_object_size, "version": VERSION})

    def _alerts(self, request: Request, sensor: str) -> Response:
        limit = min(max(request.args.get("limit", 1000, type=int), 1), 10000)
        start = request.args.get("token", 0, type=int)
        kinds = request.args.get("detect_type", "").split(",")
        with self._memory.lock:
            submitted = self._memory.submitted[start : start + limit]
        detects = [
            _alert(start + number, scan)
            for number, scan in enumerate(submitted)
            if scan.sensor == sensor and scan.state_now() == "detect" and "am" in kinds
        ]
        return _json({"detects": detects, "token": str(start + len(submitted))})


def _alert(number: int, scan: EmulatedScan) -> dict[str, object]:
    return {
        "alertID": number + 1,
        "importance": "high",
        "objectSource": "external",
        "technology": "am",
        "object": {
            "processedObject": {
                "MD5": scan.md5,
                "SHA256": scan.sha256,
                "fileName": scan.name,
                "fileType": "unknown",
                "fileSize": scan.size,
            }
        },
        "detection": {"detect": [_THREAT], "dataBaseVersion": VERSION},
    }


def _fail(script: Script) -> Response:
    if script.fault == "drop":
        raise Dropped
    return Response("as the content asks", _FAULTS[str(script.fault)])


def _json(value: object) -> Response:
    return Response(json.dumps(value), content_type="application/json")
