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

# words that hold one of those below, and carry nothing
_HARMLESS = re.compile(
    r"(?<![a-z])(?:(?:mon|don|tur|hoc)keys?|credits?|assess(?:ment)?s?)(?![a-z])|keyword|keyboard"
    r"|compass|bypass|passage|passenger|passive|author(?!i[sz])"
)
# also as a part of a longer name
_PARTS = (
    r"auth|assertion|bearer|cookie|cred(?!ib)|csrf|hmac|jwt|key|mfa|nonce|oidc|otp(?!r)|pass|psk|pwd"
    r"|saml|secret|sess|signature|ticket|token|wresult|xsrf|(?:code|pin|pw|sid|sig)(?![a-z])"
)
# who asks, and not what proves it
_USER_NAMES = frozenset({"x-authenticated-user", "x-authenticated-groups"})
_SECRET = re.compile(_PARTS)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or key of that name carries a secret; in doubt it does.

    The name is decoded, without what is around it: `X-Auth-Token`, `apiKey`, `client_assertion`.
    """
    if name.lower() in _USER_NAMES:
        return False
    forms = (name.lower(), _CAMEL.sub("_", name).lower())
    return any(_SECRET.search(_HARMLESS.sub(" ", form)) for form in forms)
