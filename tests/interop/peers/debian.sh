#!/bin/sh
# Fetch Debian's package of serf 0.9.4 and unpack its agent into bin/. Nothing is installed or started.
set -eu
cd "$(dirname "$0")"
test -x bin/serf-debian && exit 0
mkdir -p bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && { apt-get -qq download serf || { apt-get -qq update && apt-get -qq download serf; }; })
dpkg -x "$work"/serf_*.deb "$work"
cp "$work/usr/bin/serf" bin/serf-debian
