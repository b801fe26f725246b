"""The `gossip` command. Nothing of the library imports this package."""
