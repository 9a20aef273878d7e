"""Ctrl-C while a command begins: it ends with its code, and without a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

# a Ctrl-C while a module is loaded
_LOADING = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from bridge.cli import main
sys.exit(main(["check", "--help"]))
"""


@pytest.mark.parametrize("module", ["bridge.core", "bridge.commands", "bridge.commands.check"])
def test_one_that_comes_while_a_command_is_loaded_ends_it(module: str) -> None:
    program = [sys.executable, "-c", _LOADING.format(module=module)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
