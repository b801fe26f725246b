#!/bin/sh
# Build the real peers of the interop tests into bin/: our memberlist node, and the real Serf agent.
# Versions and checksums are go.mod's and go.sum's; the sources come from the Go module proxy.
# kinship, for one comparison, comes from where PYTHON's packages come from.
set -eu
cd "$(dirname "$0")"
export GOFLAGS="-trimpath -mod=readonly"
export CGO_ENABLED=0
go build -o bin/memberlist-peer ./memberlist-peer
go build -o bin/lifeguard-pool ./lifeguard-pool
go build -o bin/serf github.com/hashicorp/serf/cmd/serf
kinship=../../../build/peers/kinship
[ -d $kinship ] || "${PYTHON:-python3}" -m pip install --quiet --target $kinship kinship==0.4.0 ||
    echo "kinship could not be installed" >&2
