"""What answers for a daemon: status page, /metrics, /health, /ready; a process of its own."""

from bridge.status.asking import ask

__all__ = ["ask"]
