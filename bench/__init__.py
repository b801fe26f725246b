"""Benchmarks. `ci/run bench` runs them and holds them to targets.toml."""
