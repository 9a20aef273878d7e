"""The ICAP door: REQMOD and RESPMOD for web proxies (RFC 3507)."""
