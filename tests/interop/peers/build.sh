#!/bin/sh
# Build the real peers of the interop tests into bin/: our memberlist node, and the real Serf agent.
# Versions and checksums are go.mod's and go.sum's; the sources come from the Go module proxy.
set -eu
cd "$(dirname "$0")"
export GOFLAGS="-trimpath -mod=readonly"
export CGO_ENABLED=0
go build -o bin/memberlist-peer ./memberlist-peer
go build -o bin/serf github.com/hashicorp/serf/cmd/serf
