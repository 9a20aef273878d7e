"""KATA's scan API: its shapes, the client that speaks it, and the poller that waits for verdicts.

`bridge.core.kata.client` is imported by its own name, by the core alone.
"""
