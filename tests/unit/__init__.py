"""Exact tests: no clock, no socket."""
