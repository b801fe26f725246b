"""The virtual-time harness: production cores, a made-up clock and a lossy network, no sockets.

`solo` drives one core against puppets a test holds the strings of; `cluster` runs many cores
against each other. Both are deterministic: the same seed gives the same run, byte for byte.
"""
