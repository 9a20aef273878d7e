#!/bin/sh
# Installs katabridge as a service, or takes away what that put there: `make install`,
# `make uninstall`. Run with "install" or "uninstall", and in the environment
#   PREFIX   where the programs go                (/opt/katabridge)
#   DESTDIR  a folder that is put in front of all paths, for packages and tests
#   LIBDIR   where units and the like go          (/usr/local/lib, where systemd looks as well)
#   PYTHON   the Python that the programs run with (python3)
# Configuration, state and logs are never overwritten nor removed.
set -eu
umask 022

PREFIX=${PREFIX:-/opt/katabridge}
DESTDIR=${DESTDIR:-}
LIBDIR=${LIBDIR:-/usr/local/lib}
PYTHON=${PYTHON:-python3}
PROGRAMS="icapd kata-bridge"
UNITS="katabridge-icapd.service katabridge-watch.service"
CONFIG=/etc/katabridge

source=$(cd "$(dirname "$0")/.." && pwd)
venv=$PREFIX/lib/katabridge # a folder of our own, so that PREFIX may be one that others share
mark=$DESTDIR$venv/.made-by-katabridge
scratch=

fail() {
    echo "$action: $1" >&2
    exit 1
}

say() {
    echo "* $1"
}

check_paths() {
    for path in "$PREFIX" "$LIBDIR" ${DESTDIR:+"$DESTDIR"}; do
        case $path in
        /*) ;;
        *) fail "$path is no absolute path (PREFIX, DESTDIR, LIBDIR)." ;;
        esac
        # they stand in units and in the first lines of scripts, which know no quotes
        case $path in
        *[!A-Za-z0-9._/+@~-]*) fail "$path: use letters, digits and ._/+@~- only (PREFIX, DESTDIR, LIBDIR)." ;;
        esac
    done
    if [ -e "$DESTDIR$venv" ] && [ ! -e "$mark" ]; then
        fail "$DESTDIR$venv was not made by 'make install': move it away, or name another PREFIX."
    fi
}

check_writable() {
    for path in "$venv" "$PREFIX/bin" "$LIBDIR" "$CONFIG"; do
        there=$DESTDIR$path
        while [ ! -e "$there" ]; do there=$(dirname "$there"); done
        if [ ! -d "$there" ] || [ ! -w "$there" ]; then
            fail "$there cannot be written: run this as root, or name a DESTDIR of yours."
        fi
    done
}

check_python() {
    command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON: name one with PYTHON=python3.11."
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is older than 3.11: name a newer one with PYTHON=python3.12."
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$PYTHON has no venv: on Debian, apt-get install python3-venv."
    # the account of the service comes into nobody's home, and the units hide them all
    base=$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')
    case $base in
    /root/* | /home/*)
        why="$base lies in a home, where no service can run it: name the system's with PYTHON=/usr/bin/python3."
        [ -n "$DESTDIR" ] || fail "$why"
        say "$why"
        ;;
    esac
}

make_venv() {
    python=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    if [ -e "$mark" ] && [ -e "$DESTDIR$venv/lib/$python" ]; then
        say "The virtual environment $DESTDIR$venv is there"
    else
        say "A virtual environment in $DESTDIR$venv"
        mkdir -p "$DESTDIR$venv"
        "$PYTHON" -m venv --clear "$DESTDIR$venv" >"$scratch/log" 2>&1 ||
            fail "$PYTHON cannot make $DESTDIR$venv: $(tail -n 1 "$scratch/log")"
    fi
    : >"$mark"
}

install_package() {
    say "katabridge and its packages, from the package index"
    # of a copy: a build leaves files where it happens, and takes up what an earlier one left
    mkdir "$scratch/source"
    for each in pyproject.toml README.md LICENSE bridge icapd; do
        cp -RL "$source/$each" "$scratch/source/" # pages are a link to what people change
    done
    "$DESTDIR$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        "$scratch/source" >"$scratch/log" 2>&1 || {
        why=$(grep -i '^ *error' "$scratch/log" | tail -n 1)
        fail "pip could not install it (is the package index within reach?): ${why:-$(tail -n 1 "$scratch/log")}"
    }
}

# Scripts begin with the path of their Python: the one where they will lie.
settle_paths() {
    if [ -n "$DESTDIR" ]; then
        for each in "$DESTDIR$venv"/bin/* "$DESTDIR$venv/pyvenv.cfg"; do
            if [ -f "$each" ] && [ ! -L "$each" ]; then sed -i "s|$DESTDIR$venv|$venv|g" "$each"; fi
        done
    fi
    mkdir -p "$DESTDIR$PREFIX/bin"
    for each in $PROGRAMS; do ln -sfn "$venv/bin/$each" "$DESTDIR$PREFIX/bin/$each"; done
}

put_files() {
    say "Units, account and folders in $DESTDIR$LIBDIR"
    for each in $UNITS; do
        sed "s|^ExecStart=/opt/katabridge/|ExecStart=$PREFIX/|" "$source/conf/systemd/$each" >"$scratch/unit"
        install -D -m 0644 "$scratch/unit" "$DESTDIR$LIBDIR/systemd/system/$each"
    done
    for each in sysusers.d tmpfiles.d; do
        install -D -m 0644 "$source/conf/$each/katabridge.conf" "$DESTDIR$LIBDIR/$each/katabridge.conf"
    done
    if [ -e "$DESTDIR$CONFIG/katabridge.yaml" ]; then
        say "$DESTDIR$CONFIG/katabridge.yaml is there, and stays as it is"
    else
        say "A configuration to start from in $DESTDIR$CONFIG/katabridge.yaml"
        if [ ! -d "$DESTDIR$CONFIG" ]; then install -d -m 0750 "$DESTDIR$CONFIG"; fi
        install -m 0640 "$source/conf/katabridge.yaml" "$DESTDIR$CONFIG/katabridge.yaml"
    fi
}

has_systemd() {
    [ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ] && command -v "$1" >/dev/null
}

is_booted() {
    has_systemd systemctl && [ -d /run/systemd/system ]
}

prepare_system() {
    if ! has_systemd systemd-sysusers || ! has_systemd systemd-tmpfiles; then
        say "Before the first start: systemd-sysusers katabridge.conf; systemd-tmpfiles --create katabridge.conf; systemctl daemon-reload"
        return
    fi
    say "The account katabridge and its folders"
    systemd-sysusers "$LIBDIR/sysusers.d/katabridge.conf" || fail "systemd-sysusers could not make the account."
    systemd-tmpfiles --create "$LIBDIR/tmpfiles.d/katabridge.conf" || fail "systemd-tmpfiles could not make the folders."
    if is_booted; then systemctl daemon-reload; fi
}

install_all() {
    check_paths
    check_python
    check_writable
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    make_venv
    install_package
    settle_paths
    put_files
    prepare_system
    cat <<END
katabridge is installed in $DESTDIR$PREFIX. What comes next (docs/install.md):
    write your Central Node (kata.urls) and folders into $CONFIG/katabridge.yaml
    $PREFIX/bin/kata-bridge enrol && systemd-tmpfiles --create katabridge.conf
    systemctl enable --now katabridge-icapd     # the ICAP door
    systemctl enable --now katabridge-watch     # the folder door
After an upgrade: systemctl restart the doors that run.
END
}

uninstall_all() {
    check_paths
    check_writable
    if is_booted; then
        say "The services stop"
        # shellcheck disable=SC2086 # several words
        systemctl disable --now $UNITS 2>/dev/null || true
    fi
    say "What was installed goes from $DESTDIR$PREFIX and $DESTDIR$LIBDIR"
    for each in $PROGRAMS; do
        if [ "$(readlink "$DESTDIR$PREFIX/bin/$each")" = "$venv/bin/$each" ]; then rm "$DESTDIR$PREFIX/bin/$each"; fi
    done
    for each in $UNITS; do rm -f "$DESTDIR$LIBDIR/systemd/system/$each"; done
    for each in sysusers.d tmpfiles.d; do rm -f "$DESTDIR$LIBDIR/$each/katabridge.conf"; done
    rm -rf "$DESTDIR$venv"
    case $PREFIX in
    /usr | /usr/local) ;;
    *) rmdir "$DESTDIR$PREFIX/bin" "$DESTDIR$PREFIX/lib" "$DESTDIR$PREFIX" 2>/dev/null || true ;;
    esac
    if is_booted; then systemctl daemon-reload; fi
    say "$CONFIG, /var/lib/katabridge, /var/log/katabridge and the account katabridge stay"
}

action=${1:-}
case $action in
install) install_all ;;
uninstall) uninstall_all ;;
*) echo "usage: $0 install|uninstall" >&2 && exit 2 ;;
esac
