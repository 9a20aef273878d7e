"""Programs started for a test: what the test harness has, under the names that tests use."""

from __future__ import annotations

from bridge.testing.processes import Program, accepts, free_port, module, wait_until

__all__ = ["Program", "accepts", "free_port", "module", "wait_until"]
