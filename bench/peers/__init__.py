"""The programs at the other side, and our node."""
