"""The tests, by kind: `unit` exact, `io` real sockets, `sim` virtual time, `interop` real peers."""
