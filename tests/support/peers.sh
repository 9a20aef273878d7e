#!/bin/sh
# Installs the Debian packages named, where we are root; else says which are missing.
missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "NOT INSTALLED:$missing. Their tests will be skipped." >&2
    exit 0
fi
echo "* Installing$missing"
# No service of these packages may start: the tests start what they need themselves.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && trap 'rm -f "$policy"' EXIT; }
export DEBIAN_FRONTEND=noninteractive
{ apt-get update && apt-get install --yes --no-install-recommends $missing; } >/dev/null || {
    echo "apt-get could not install$missing. Their tests will be skipped." >&2
    exit 0
}
