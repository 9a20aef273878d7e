"""The only requests to KATA: the library of that name over mutual TLS, in threads of its own.

Uploads, the state call and housekeeping have separate threads and sessions, so that none can
starve another. Every call has a total deadline: when it passes, the socket is shut down.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests_toolbelt import MultipartEncoder
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from bridge.core.kata import wire
from bridge.core.kata.calls import Call, Lane, Upload
from bridge.core.kata.wire import Answer, CallResult
from bridge.core.model import HeldBytes, Item
from bridge.core.settings import KataSettings

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
_STATE_SECONDS = 30.0
_UPLOAD_BASE_SECONDS = 60.0
_UPLOAD_BYTES_PER_SECOND = 1 << 20  # the slowest line that still makes sense
_MAX_ANSWER = 64 << 20
_HOUSEKEEPING_THREADS = 2


class _Thread(threading.local):
    session: requests.Session | None = None
    settings: KataSettings | None = None  # those by which the session was made
    call: Call | None = None


class _Connection(HTTPSConnection):
    current: _Thread

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.current.call is not None:
            self.current.call.connection = self
        super().request(*args, **kwargs)


class _Adapter(HTTPAdapter):
    def __init__(self, fingerprint: str | None, pool: type[HTTPSConnectionPool]) -> None:
        self._fingerprint = fingerprint
        self._pool = pool
        super().__init__(pool_connections=8, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._fingerprint is not None:
            kwargs["assert_fingerprint"] = self._fingerprint
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": self._pool}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is followed, so none is looked at: its address may be nonsense."""


class KataClient:
    """Calls KATA for one sensor instance. Methods never raise for what KATA or the net does."""

    def __init__(
        self,
        settings: KataSettings,
        instance: str,
        count: Callable[[str, int | None], None] = lambda call, status: None,
    ) -> None:
        """`count` is told, in any thread, of each call and the status of its answer."""
        self._settings = settings
        self._instance = instance
        self._count = count
        self._thread = _Thread()
        current = self._thread
        connection = type("Connection", (_Connection,), {"current": current})
        self._pool = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": connection})
        self._uploads = Lane("upload", settings.connections)
        # of its own for each Central Node, so that one that hangs does not delay the others
        self._state = {node: Lane("state", 1) for node in settings.urls}
        self._housekeeping = {
            node: Lane("housekeeping", _HOUSEKEEPING_THREADS) for node in settings.urls
        }
        self._alerts = {node: Lane("alerts", 1) for node in settings.urls}
        self._sessions: list[requests.Session] = []

    def use(self, settings: KataSettings) -> None:
        """Connect with these certificates, and trust in these, from each thread's next call on.

        Central Nodes, the id and the number of connections stay as they are.
        """
        self._settings = settings

    async def submit(self, central_node: str, scan_id: str, item: Item) -> CallResult:
        """POST one item; OK means accepted, not judged (help page 176838)."""
        seconds = _UPLOAD_BASE_SECONDS + item.size / _UPLOAD_BYTES_PER_SECOND
        return await self._submit(self._uploads, central_node, scan_id, item, seconds)

    async def try_file(self, central_node: str, scan_id: str, item: Item) -> CallResult:
        """The same beside all uploads: one that hangs takes no user's place, and waits for none."""
        lane = self._housekeeping[central_node]
        return await self._submit(lane, central_node, scan_id, item, _STATE_SECONDS)

    async def _submit(
        self, lane: Lane, central_node: str, scan_id: str, item: Item, seconds: float
    ) -> CallResult:
        url = wire.submit_url(self._base(central_node), self._instance)

        def post(call: Call) -> CallResult:
            with item.body.open() as file:
                upload = Upload(file, item.size, call)
                form = MultipartEncoder(
                    {
                        "scanId": scan_id,
                        "objectType": "file",
                        "content": (_part_name(item.name), upload, "application/octet-stream"),
                    }
                )
                headers = {"Content-Type": form.content_type}
                response = self._request(call, "POST", url, data=form, headers=headers)
                return CallResult(
                    wire.classify(response.status_code),
                    _detail("submit", response),
                    wire.parse_retry_after(response.headers.get("Retry-After")),
                    upload.md5.hexdigest(),
                )

        return await self._run("submit", lane, post, seconds, item.body)

    async def states(self, central_node: str) -> CallResult:
        """GET the states of all scans of this instance (help page 176830)."""
        url = wire.state_url(self._base(central_node), self._instance)

        def get(call: Call) -> CallResult:
            response = self._request(call, "GET", url)
            detail = _detail("state", response)
            date = wire.parse_date(response.headers.get("Date"))
            if response.status_code in (204, 404):  # no results for this id
                return CallResult(Answer.OK, detail, states={}, date=date)
            answer = wire.classify(response.status_code)
            if answer is not Answer.OK:
                return CallResult(answer, detail, date=date)
            try:
                states = wire.parse_states(response.content)
            except wire.WireError as error:
                return CallResult(Answer.FAULT, str(error), date=date)
            return CallResult(answer, detail, states=states, date=date)

        return await self._run("state", self._state[central_node], get, _STATE_SECONDS)

    async def delete(self, central_node: str, scan_id: str) -> CallResult:
        """DELETE one scan of ours (help page 176836); 404 means that it is gone already."""
        url = wire.delete_url(self._base(central_node), scan_id)

        def delete(call: Call) -> CallResult:
            response = self._request(call, "DELETE", url)
            gone = response.status_code == 404
            answer = Answer.OK if gone else wire.classify(response.status_code)
            return CallResult(answer, _detail("delete", response), missing=gone)

        return await self._run("delete", self._housekeeping[central_node], delete, _STATE_SECONDS)

    async def max_object_size(self, central_node: str) -> CallResult:
        """GET the limits (help page 176834): `max_object_size` of the result, if KATA names one."""
        url = wire.filters_url(self._base(central_node))

        def get(call: Call) -> CallResult:
            response = self._request(call, "GET", url)
            answer = wire.classify(response.status_code)
            size = wire.parse_filters(response.content) if answer is Answer.OK else None
            return CallResult(answer, _detail("filters", response), max_object_size=size)

        return await self._run("filters", self._housekeeping[central_node], get, _STATE_SECONDS)

    async def alerts(self, central_node: str, token: str | None) -> CallResult:
        """GET what was detected since `token` (help page 181506)."""
        url = wire.alerts_url(self._base(central_node), token)

        def get(call: Call) -> CallResult:
            response = self._request(call, "GET", url)
            detail = _detail("alerts", response)
            answer = wire.classify(response.status_code)
            if answer is not Answer.OK:
                return CallResult(answer, detail)
            try:
                return CallResult(answer, detail, alerts=wire.parse_alerts(response.content))
            except wire.WireError as error:
                return CallResult(Answer.FAULT, str(error))

        return await self._run("alerts", self._alerts[central_node], get, _STATE_SECONDS)

    async def close(self) -> None:
        """End the threads; calls under way are cut off."""
        others = (self._state, self._housekeeping, self._alerts)
        for lane in (self._uploads, *(lane for lanes in others for lane in lanes.values())):
            lane.executor.shutdown(wait=False, cancel_futures=True)
        for session in self._sessions:
            session.close()

    def _base(self, central_node: str) -> str:
        return wire.base_url(central_node, str(self._settings.sensor_id))

    async def _run(
        self,
        name: str,
        lane: Lane,
        work: Callable[[Call], CallResult],
        seconds: float,
        body: HeldBytes | None = None,
    ) -> CallResult:
        """Do `work` in a thread; `seconds` are for the call, not for its place in the queue.

        The thread holds `body` even when the caller has gone.
        """
        async with lane.free:
            call = Call(name)
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(lane.executor, self._guarded, work, call)
            if body is not None:
                held = body.retain()
                future.add_done_callback(lambda _: held.release())
            try:
                finished, _ = await asyncio.wait({future}, timeout=seconds)
            finally:
                if not future.done():
                    call.abort()
            if not finished:
                return CallResult(Answer.UNREACHABLE, f"no answer within {seconds:.0f} s")
            return future.result()

    def _guarded(self, work: Callable[[Call], CallResult], call: Call) -> CallResult:
        self._thread.call = call
        try:
            if call.aborted.is_set():
                return CallResult(Answer.UNREACHABLE, "cut off before it began")
            return work(call)
        except (requests.RequestException, OSError) as error:
            return CallResult(Answer.UNREACHABLE, _reason(error))
        except Exception as error:  # libraries raise what they like on odd answers
            return CallResult(Answer.FAULT, f"{type(error).__name__}: {error}")
        finally:
            self._thread.call = None
            self._count(call.name, call.status)

    def _request(self, call: Call, method: str, url: str, **kwargs: Any) -> requests.Response:
        session = self._session()
        timeout = (_CONNECT_SECONDS, _READ_SECONDS)
        with session.request(
            method, url, timeout=timeout, allow_redirects=False, stream=True, **kwargs
        ) as response:
            body = bytearray()
            for piece in response.iter_content(64 * 1024):
                body += piece
                if len(body) > _MAX_ANSWER:
                    raise requests.ConnectionError("the answer is too large")
            response._content = bytes(body)
            call.status = response.status_code
            return response

    def _session(self) -> requests.Session:
        """This thread's own; a new one where certificates or trust may be others since."""
        thread, settings = self._thread, self._settings
        if thread.session is None or thread.settings is not settings:
            if thread.session is not None:
                thread.session.close()
                self._sessions.remove(thread.session)
            thread.session, thread.settings = self._new_session(settings), settings
        return thread.session

    def _new_session(self, settings: KataSettings) -> requests.Session:
        session = _Session()
        session.trust_env = False  # files must not travel through a proxy from the environment
        session.cert = (str(settings.client_cert), str(settings.client_key))
        ca = settings.server_ca
        session.verify = str(ca) if ca is not None else False  # then the fingerprint is the trust
        session.mount("https://", _Adapter(settings.server_fingerprint, self._pool))
        self._sessions.append(session)
        return session


def _detail(call: str, response: requests.Response) -> str:
    return f"{call} answered {response.status_code} {response.reason}"


def _part_name(name: str) -> str:
    """A file name for a multipart head: UTF-8, and no sign in it that ends or escapes it."""
    text = name.encode("utf-8", "replace").decode("utf-8")
    return "".join("_" if sign in '\\"' or not sign.isprintable() else sign for sign in text)


def _reason(error: BaseException) -> str:
    """The innermost cause, which says more than the wrappings of two libraries."""
    seen: BaseException = error
    while True:
        inner = seen.__cause__ or seen.__context__
        reason = getattr(seen, "reason", None)
        if isinstance(reason, BaseException):
            inner = reason
        if inner is None:
            return str(seen) or type(seen).__name__
        seen = inner
