#!/bin/sh
# Installs katabridge as a service, or takes away what that put there: `make install`,
# `make uninstall`. Run with "install" or "uninstall", and in the environment
#   PREFIX   where the programs go                (/opt/katabridge)
#   BINDIR   where links to them go, so that everybody's PATH finds them (/usr/local/bin)
#   DESTDIR  a folder that is put in front of all paths, for packages and tests
#   LIBDIR   where units and the like go          (/usr/local/lib, where systemd looks as well)
#   PYTHON   the Python that the programs run with (python3)
# Configuration, state and logs are never overwritten nor removed.
set -eu
umask 022

PREFIX=${PREFIX:-/opt/katabridge}
BINDIR=${BINDIR:-}
DESTDIR=${DESTDIR:-}
LIBDIR=${LIBDIR:-/usr/local/lib}
PYTHON=${PYTHON:-python3}
PROGRAMS="icapd kata-bridge"
UNITS="katabridge-icapd.service katabridge-watch.service"
CONFIG=/etc/katabridge
MARK=.made-by-katabridge

source=$(cd "$(dirname "$0")/.." && pwd)
scratch=

fail() {
    echo "$action: $1" >&2
    exit 1
}

say() {
    echo "* $1"
}

# One way to write each path: no slash at its end, none twice. The root itself is the empty one.
plain() {
    case $1 in
    /*) ;;
    *) fail "$1 is no absolute path (PREFIX, BINDIR, DESTDIR, LIBDIR)." ;;
    esac
    # they stand in units and in the first lines of scripts, which know no quotes
    case $1 in
    *[!A-Za-z0-9._/+@~-]*) fail "$1: use letters, digits and ._/+@~- only (PREFIX, BINDIR, DESTDIR, LIBDIR)." ;;
    esac
    realpath -sm -- "$1" | sed 's|^/$||'
}

settle_variables() {
    PREFIX=$(plain "$PREFIX")
    LIBDIR=$(plain "$LIBDIR")
    if [ -n "$DESTDIR" ]; then DESTDIR=$(plain "$DESTDIR"); fi
    if [ -z "$BINDIR" ]; then
        case $PREFIX in
        "" | /usr) BINDIR=$PREFIX/bin ;;
        *) BINDIR=/usr/local/bin ;;
        esac
    fi
    BINDIR=$(plain "$BINDIR")
    venv=$PREFIX/lib/katabridge # a folder of our own, so that PREFIX may be one that others share
    there=$DESTDIR$venv
    new=$there.new # made here, and put in its place when it is complete
    old=$there.old
}

# Before there is anything in it, a folder has the mark; it has it until nothing else is in it.
is_ours() {
    [ ! -e "$1" ] || [ -e "$1/$MARK" ] || [ -z "$(ls -A "$1")" ]
}

discard() {
    if [ -e "$1" ]; then
        find "$1/" -mindepth 1 -maxdepth 1 ! -name $MARK -exec rm -rf {} +
        rm -rf "$1"
    fi
}

is_link_to() {
    [ -L "$1" ] && [ "$(realpath -sm -- "$(readlink "$1")")" = "$2" ]
}

is_taken() {
    { [ -e "$1" ] || [ -L "$1" ]; } && ! is_link_to "$1" "$2"
}

check_theirs() {
    for each in "$there" "$new" "$old"; do
        is_ours "$each" || fail "$each was not made by 'make install': move it away, or name another PREFIX."
    done
}

check_programs() {
    for each in $PROGRAMS; do
        ! is_taken "$DESTDIR$PREFIX/bin/$each" "$venv/bin/$each" ||
            fail "$DESTDIR$PREFIX/bin/$each is not of katabridge: move it away, or name another PREFIX."
    done
}

check_writable() {
    for path in "$PREFIX/lib" "$PREFIX/bin" "$BINDIR" "$LIBDIR" "$CONFIG"; do
        above=$DESTDIR$path
        while [ ! -e "$above" ]; do above=$(dirname "$above"); done
        if [ ! -d "$above" ] || [ ! -w "$above" ]; then
            fail "$above cannot be written: run this as root, or name a DESTDIR of yours."
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

clear_up() {
    trap '' HUP INT TERM
    discard "$new"
    rm -rf ${scratch:+"$scratch"}
}

# After a run that was killed: what it was about to replace is put back, what it had begun goes.
take_up() {
    if [ -e "$old" ] && [ ! -e "$there" ]; then mv "$old" "$there"; fi
    discard "$old"
    discard "$new"
}

make_venv() {
    say "A virtual environment in $there"
    mkdir -p "$new"
    : >"$new/$MARK"
    "$PYTHON" -m venv --prompt katabridge "$new" >"$scratch/log" 2>&1 ||
        fail "$PYTHON cannot make a virtual environment in $new: $(tail -n 1 "$scratch/log")"
}

# The first of what went wrong: what follows, and what pip says of what it ran, is only that it did.
reason() {
    { grep -m 1 '^ *ERROR: ' "$scratch/log" || sed '/\[end of output\]/,$d' "$scratch/log" | grep . | tail -n 1; } |
        tr -d '\000-\037\177' | sed 's/^ *//'
}

install_package() {
    say "katabridge and its packages, from the package index"
    # of a copy: a build leaves files where it happens, and takes up what an earlier one left
    mkdir "$scratch/source"
    for each in pyproject.toml README.md LICENSE bridge icapd; do
        cp -RL "$source/$each" "$scratch/source/" # pages are a link to what people change
    done
    "$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        "$scratch/source" >"$scratch/log" 2>&1 ||
        fail "pip could not install it (is the package index within reach?): $(reason)"
}

# Scripts begin with the path of their Python: the one where they will lie.
settle_paths() {
    pattern=$(echo "$new" | sed 's/\./\\./g')
    for each in "$new"/bin/* "$new/pyvenv.cfg"; do
        if [ -f "$each" ] && [ ! -L "$each" ]; then sed -i "s|$pattern|$venv|g" "$each"; fi
    done
    for each in $PROGRAMS; do # pip begins a script whose path is long with a line of sh
        head -n 2 "$new/bin/$each" | grep -qF -e "#!$venv/bin/python" -e "exec' $venv/bin/python" ||
            fail "$new/bin/$each does not begin with $venv/bin/python, where it is to run."
    done
}

# Nothing that fails or takes long happens while there is none.
put_in_place() {
    trap '' HUP INT TERM
    if [ -e "$there" ]; then mv "$there" "$old"; fi
    mv "$new" "$there"
    trap_signals
    discard "$old"
}

put_links() {
    mkdir -p "$DESTDIR$PREFIX/bin" "$DESTDIR$BINDIR"
    for each in $PROGRAMS; do ln -sfn "$venv/bin/$each" "$DESTDIR$PREFIX/bin/$each"; done
    if [ "$BINDIR" = "$PREFIX/bin" ]; then return; fi
    for each in $PROGRAMS; do
        if is_taken "$DESTDIR$BINDIR/$each" "$PREFIX/bin/$each"; then
            say "$DESTDIR$BINDIR/$each is not of katabridge, and stays: call $PREFIX/bin/$each by its path"
        else
            ln -sfn "$PREFIX/bin/$each" "$DESTDIR$BINDIR/$each"
        fi
    done
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

# A shell that a signal ends does not clear up; one that exits does.
trap_signals() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

install_all() {
    settle_variables
    check_theirs
    check_programs
    check_python
    check_writable
    trap clear_up EXIT
    trap_signals
    scratch=$(mktemp -d)
    take_up
    make_venv
    install_package
    settle_paths
    put_in_place
    put_links
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
    settle_variables
    check_theirs
    check_writable
    if is_booted; then
        say "The services stop"
        # shellcheck disable=SC2086 # several words
        systemctl disable --now $UNITS 2>/dev/null || true
    fi
    say "What was installed goes from $DESTDIR$PREFIX and $DESTDIR$LIBDIR"
    for each in $PROGRAMS; do
        for link in "$BINDIR/$each $PREFIX/bin/$each" "$PREFIX/bin/$each $venv/bin/$each"; do
            if is_link_to "$DESTDIR${link% *}" "${link#* }"; then rm "$DESTDIR${link% *}"; fi
        done
    done
    for each in $UNITS; do rm -f "$DESTDIR$LIBDIR/systemd/system/$each"; done
    for each in sysusers.d tmpfiles.d; do rm -f "$DESTDIR$LIBDIR/$each/katabridge.conf"; done
    for each in "$new" "$old" "$there"; do discard "$each"; done
    case $PREFIX in
    "" | /usr | /usr/local) ;;
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
