"""The commands of `kata-bridge`, a module each: `add` gives its options, `run` its exit code."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
