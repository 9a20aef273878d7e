"""Programs started for a test: what the test harness has, under the names that tests use."""

from __future__ import annotations

from bridge.testing.ports import free_port
from bridge.testing.processes import Program, accepts, module, wait_until

__all__ = ["Program", "accepts", "free_port", "module", "wait_until"]
