#!/bin/sh
# Build what the benchmarks need beside the package: the C programs, the Go node, the loops in C.
# Versions and checksums are go.mod's and go.sum's. PYTHON is the interpreter that has the package.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python}
mkdir -p bin
cc -O2 -Wall -Wextra -o bin/server c/server.c
cc -O2 -Wall -Wextra -o bin/blaster c/blaster.c
cc -O2 -Wall -Wextra -shared -fPIC -o bin/reference.so c/reference.c
(cd go && CGO_ENABLED=0 go build -trimpath -mod=readonly -o ../bin/memberlist-bench .)
cd ../..
"$python" bench/setup.py -q build_ext --inplace
