#!/bin/sh
# With `make run` up: fetches a clean file and the EICAR test file with curl through Squid.
#   sh examples/squid/try.sh [--stay]      --stay: Squid goes on until Ctrl-C
# Other ports and another folder of `make run`: ICAP_PORT, SQUID_PORT, WEB_PORT, DEMO.
set -eu
ICAP_PORT=${ICAP_PORT:-1344} SQUID_PORT=${SQUID_PORT:-3128} WEB_PORT=${WEB_PORT:-8000}
DEMO=${DEMO:-var/demo}
PATH=$PATH:/usr/sbin
cd "$(dirname "$0")/../.."

fail() {
    echo "try.sh: $1" >&2
    exit 1
}

# A connection and not a word: what is no ICAP would be a refused request of this machine's.
listens() {
    python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", sys.argv[1]))' "$1" 2>/dev/null
}

await() {
    for _ in $(seq 100); do
        listens "$1" && return
        kill -0 "$2" 2>/dev/null || fail "$3 ended: $(tail -n 1 "$work/$3")"
        sleep 0.1
    done
    fail "$3 does not listen on 127.0.0.1:$1."
}

fetch() {
    echo
    echo "curl --noproxy '' -x http://127.0.0.1:$SQUID_PORT http://127.0.0.1:$WEB_PORT/$1"
    status=$(curl -sS -o "$work/body" -w '%{http_code}' --noproxy '' \
        -x "http://127.0.0.1:$SQUID_PORT" "http://127.0.0.1:$WEB_PORT/$1")
    title=$(sed -n 's:.*<title>\(.*\)</title>.*:\1:p' "$work/body")
    echo "HTTP $status: ${title:-$(head -n 1 "$work/body")}"
    [ "$status" = "$2" ] || fail "$1 was to get HTTP $2."
}

# It is written when the name of the threat is known: no block waits for that.
record() {
    for _ in $(seq 150); do
        tail -n 1000 "$DEMO/log/log-history.log" | grep "\"case\":\"$1\"" && return
        sleep 0.1
    done
    return 1
}

for program in squid curl python3; do
    command -v "$program" >/dev/null || fail "$program is missing; on Debian: apt-get install squid-openssl curl python3"
done
listens "$ICAP_PORT" || fail "nothing listens on 127.0.0.1:$ICAP_PORT; first have \`make run\` up in another terminal."
for port in "$SQUID_PORT" "$WEB_PORT"; do
    ! listens "$port" || fail "127.0.0.1:$port is taken; choose others with SQUID_PORT and WEB_PORT."
done

work=$(mktemp -d)
trap 'kill $running 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
running=
sed "s/127.0.0.1:1344/127.0.0.1:$ICAP_PORT/" examples/squid/icap.conf >"$work/icap.conf"
sed "s:3128:$SQUID_PORT:; s:examples/squid:$work:" examples/squid/try.conf >"$work/squid.conf"
squid -N -n "try$$" -f "$work/squid.conf" >"$work/squid" 2>&1 &
running=$!
await "$SQUID_PORT" $! squid
python3 -m http.server "$WEB_PORT" --bind 127.0.0.1 --directory "$DEMO" >"$work/web" 2>&1 &
running="$running $!"
await "$WEB_PORT" $! web

fetch clean.txt 200
fetch eicar.com 403
case=$(sed -n 's:.*<dd class="code">\([0-9a-z]\{16\}\)</dd>.*:\1:p' "$work/body")
echo
echo "The case number on the page is $case. Its record:"
echo ".venv/bin/kata-bridge history --config $DEMO/katabridge.yaml --case $case"
record "$case" || fail "it is not in $DEMO/log/log-history.log."
[ "${1:-}" = --stay ] || exit 0
echo
echo "Squid goes on at 127.0.0.1:$SQUID_PORT. Ctrl-C ends it."
wait
