"""What must leave this machine in no text: passwords, tokens, keys. Pure.

`values` says which values of a configuration are secrets, `needles` finds them in a text in
every form in which they come, `patterns` finds what looks like a secret of anybody's, and `names`
says by which names secrets go.
"""

from bridge.core.secrets.names import is_secret_name
from bridge.core.secrets.needles import REMOVED
from bridge.core.secrets.patterns import without_patterns
from bridge.core.secrets.scrubbing import scrub
from bridge.core.secrets.values import (
    SHORTEST_SECRET,
    key_lines,
    secrets_of_settings,
    store_secrets,
    url_secrets,
    webhook_secrets,
)

__all__ = [
    "REMOVED",
    "SHORTEST_SECRET",
    "is_secret_name",
    "key_lines",
    "scrub",
    "secrets_of_settings",
    "store_secrets",
    "url_secrets",
    "webhook_secrets",
    "without_patterns",
]
