#!/bin/sh
# Build what the benchmarks need beside the package: the C programs, the Go node, kinship with the
# loader that speaks its wire, the loops in C. Needs cc, go, cargo and pip. Versions and checksums
# are those of go.mod, go.sum and Cargo.lock. PYTHON is the interpreter that has the package.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python}
mkdir -p bin
cc -O2 -Wall -Wextra -pthread -o bin/server c/server.c
cc -O2 -Wall -Wextra -o bin/blaster c/blaster.c
cc -O2 -Wall -Wextra -shared -fPIC -o bin/reference.so c/reference.c
(cd go && CGO_ENABLED=0 go build -trimpath -mod=readonly -o ../bin/memberlist-bench .)
cargo build --quiet --release --locked --manifest-path kinship/Cargo.toml \
    --target-dir ../../build/kinship
cp ../../build/kinship/release/kinship-packets bin/
[ -d bin/kinship ] || "$python" -m pip install --quiet --target bin/kinship kinship==0.4.0
cd ../..
"$python" bench/setup.py -q build_ext --inplace
