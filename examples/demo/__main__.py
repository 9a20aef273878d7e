"""`make run`: an emulated KATA, both doors, and four cases through them.

Everything lies under var/demo. Ends with Ctrl-C, or with its terminal, and takes all it started
with it, however it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import signal
import sys
import time
from pathlib import Path

from examples.demo.cases import Result, through_folder, through_icap
from examples.demo.programs import DemoError, listens, started
from examples.demo.site import Site
from examples.demo.tied import tied

_HOME = Path("var/demo")
_ICAP_PORT = 1344
_TRY = """
Everything runs. In another terminal, from this folder, try:

  a file            cp {home}/eicar.com {home}/in/dropped.com; sleep 4; ls {home}/quarantine
  an ICAP client    c-icap-client -i 127.0.0.1 -p {port} -s av/respmod -f {home}/eicar.com
  a proxy           {proxy}
  a wait page       with that up, in a third terminal:
                    curl --noproxy '' -x http://127.0.0.1:3128 -H 'Accept: text/html' \\
                        http://127.0.0.1:8000/slow.bin
                    (KATA takes 40 s for it: after 20 s the page, the next try gets the file)
  the status page   http://127.0.0.1:{status} (token for the history: {token})
  the log           tail -f {home}/log/log-history.log

(c-icap-client and squid: apt-get install c-icap squid-openssl)
Ctrl-C ends everything."""


def main() -> int:
    """Run the demonstration; the exit code is 0 after Ctrl-C, 1 where it cannot go on."""
    parser = argparse.ArgumentParser(prog="make run")
    parser.add_argument("--home", type=Path, default=_HOME)
    parser.add_argument("--kata-port", type=_port, default=9443)
    parser.add_argument("--icap-port", type=_port, default=_ICAP_PORT)
    parser.add_argument("--status-port", type=_port, default=8344)
    options = parser.parse_args()
    site = Site(options.home, options.kata_port, options.icap_port, options.status_port)
    end_by_signals()
    try:
        with contextlib.ExitStack() as programs:
            _run(site, programs)
    except (DemoError, OSError) as error:
        sys.stderr.write(f"make run: {error}\n")
        return 1
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be what has ended
            print("\nEverything has ended.", flush=True)
    return 0


def end_by_signals() -> None:
    """A shell's background job ignores SIGINT, and is to end by it; nohup's ignores SIGHUP."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, signal.default_int_handler)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)


def _run(site: Site, programs: contextlib.ExitStack) -> None:
    for port, what in (
        (site.kata_port, "emulated KATA"),
        (site.icap_port, "ICAP door"),
        (site.status_port, "status page"),
        (site.status_port + 1, "folder door's status page"),
    ):
        if listens(port):
            raise DemoError(
                f"127.0.0.1:{port}, where the {what} would listen, is taken by another program."
            )
    if site.kata_port == site.icap_port:
        raise DemoError("the emulated KATA and the ICAP door need two ports.")
    site.prepare()
    _step(f"An emulated KATA on 127.0.0.1:{site.kata_port}")
    emulate: list[object] = [*tied("bridge.cli"), "emulate", "--state", site.home / "kata"]
    emulate += ["--listen", f"127.0.0.1:{site.kata_port}"]
    running = [
        programs.enter_context(
            started(emulate, site.output("emulator"), lambda: listens(site.kata_port))
        )
    ]
    _step(f"The ICAP door on 127.0.0.1:{site.icap_port}")
    serve: list[object] = [*tied("icapd.cli"), "--config", site.config]
    running.append(
        programs.enter_context(
            started(serve, site.output("icapd"), lambda: listens(site.icap_port))
        )
    )
    _step(f"The folder door on {site.home}/in")
    watch: list[object] = [*tied("bridge.cli"), "watch", "--config", site.config]
    log = site.output("watch")
    running.append(
        programs.enter_context(started(watch, log, lambda: "watches" in log.read_text()))
    )
    _step("A clean object and the EICAR test file through both")
    _show(site, [*through_icap(site), *through_folder(site)])
    ways = _TRY.format(
        home=shlex.quote(str(site.home)),
        proxy=proxy_command(site),
        port=site.icap_port,
        status=site.status_port,
        token=site.token,
    )
    print(ways, flush=True)
    while all(process.poll() is None for process in running):
        time.sleep(0.2)
    raise DemoError(f"one of the programs has ended; {site.home}/log says why.")


def proxy_command(site: Site) -> str:
    """The command that puts Squid in front of it; it names only what is not usual."""
    variables = []
    if site.icap_port != _ICAP_PORT:
        variables.append(f"ICAP_PORT={site.icap_port}")
    if site.home != _HOME:
        variables.append(f"DEMO={shlex.quote(str(site.home.resolve()))}")
    return " ".join([*variables, "sh examples/squid/try.sh --stay"])


def _step(text: str) -> None:
    print(f"* {text}", flush=True)


def _show(site: Site, results: list[Result]) -> None:
    print(f"\n{'door':8}{'object':12}{'outcome':14}{'source':8}{'decision':10}what happened")
    for result in results:
        record = result.record
        print(
            f"{result.door:8}{result.name:12}{record['outcome']:14}{record['source']:8}"
            f"{record['decision']:10}{result.got}"
        )
    print(f"\nThe lines they left in {site.home}/log/log-history.log:")
    for result in results:
        print(json.dumps(result.record, separators=(",", ":")))


if __name__ == "__main__":
    sys.exit(main())
