"""A webhook that is told of blocks and of late detections, with a queue on disk."""

from bridge.core.notify.webhook import Webhook

__all__ = ["Webhook"]
