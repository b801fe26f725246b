"""Gossip membership: discover peers, detect failures, spread changes, with no server."""
