"""Which names of headers, parameters and keys carry what lets somebody in. Pure."""

from __future__ import annotations

import re

# in any text, before `=` or `:`: what is no word of ours
IN_TEXT = (
    r"(?:token|passw(?:or)?d|passphrase|passcode|pwd|secret|api[_-]?key|cred(?:ential)?s?"
    r"|private[_-]?key|jwt|assertion|csrf|xsrf|totp|sess(?:ion)?[_-]?id"
    r"|saml[_-]?(?:request|response)|(?<![a-z0-9])(?:otp|pw|ticket))"
)
# in each text that has such a name, in small letters: to look for them is quicker
SIGNS_OF_NAMES = (
    *("token", "passw", "passphrase", "passcode", "pwd", "secret", "api", "cred", "private"),
    *("jwt", "assertion", "csrf", "xsrf", "otp", "sess", "saml", "pw", "ticket"),
)

# also as a part of a longer name
_PARTS = (
    r"auth(?!or(?!i[sz]))|assertion|bearer|cookie|cred(?!i[bt])|csrf|hmac|jwt|mfa|nonce|oidc|psk|pwd"
    r"|(?<!mon)(?<!don)(?<!tur)(?<!hoc)key(?!w|b)|(?<!com)(?<!by)pass(?!i|age|eng)|saml|secret"
    r"|sess(?:ion|id)|signature|ticket|token|[ht]otp|wresult|xsrf"
)
# only as a word of the name: `spinner` and `encoding` carry nothing
_WORDS = "code|otp|pin|pw|sess|sid|sig"
# who asks, and not what proves it
_USER_NAMES = frozenset({"x-authenticated-user", "x-authenticated-groups"})
_SECRET = re.compile(rf"{_PARTS}|(?<![a-z])(?:{_WORDS})(?![a-z])")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or key of that name carries a secret; in doubt it does.

    The name is decoded, without what is around it: `X-Auth-Token`, `apiKey`, `client_assertion`.
    """
    if name.lower() in _USER_NAMES:
        return False
    return _SECRET.search(name.lower()) is not None or (
        _SECRET.search(_CAMEL.sub("_", name).lower()) is not None
    )
