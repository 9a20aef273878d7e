"""A conformance suite for ICAP/1.0 servers: `python -m tests.conformance HOST:PORT SERVICE`."""
