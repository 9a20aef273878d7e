#!/bin/sh
# boot.sh NSPAWN WORK ROOT CHECKOUT: boots this machine's own system, with the files of ROOT laid over it,
# as a container without a network of its own. In a mount namespace of its own: what is written
# there, and every mount, is gone with it. WORK: an empty folder.
# CHECKOUT can be read there in /checkout.
set -eu
nspawn=$1 work=$2 root=$3 checkout=$4
mount -t tmpfs kb-boot "$work"
mkdir "$work/upper" "$work/work" "$work/machine"
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" kb-boot "$work/machine"
cp -a "$root/." "$work/machine/"
: >"$work/machine/etc/machine-id"
exec "$nspawn" --quiet --keep-unit --register=no --directory "$work/machine" \
    --bind-ro="$checkout:/checkout" --boot systemd.unit=basic.target
