"""What the interop tests stand on: child processes, pools of nodes, and the protocol's bounds."""
