"""What the entry point of pytest names: loads the plugin, where `-p` has not done so already."""

from __future__ import annotations

pytest_plugins = ("bridge.testing.plugin",)  # the same module under two names would be refused
