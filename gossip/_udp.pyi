"""The typed face of `_udp.pyx`."""

from typing import Final, TypedDict, final, type_check_only

from gossip._core import Swim

WAITING: Final[int]
BLOCKED: Final[int]
UNDONE: Final[int]

@type_check_only
class EndpointStats(TypedDict):
    packets_received: int
    packets_sent: int
    bytes_received: int
    bytes_sent: int
    receive_errors: int
    send_errors: dict[int, int]

@final
class Endpoint:
    def __new__(cls, fd: int, ipv6: bool, core: Swim, *, apart: bool = False) -> Endpoint: ...
    def on_readable(self) -> int: ...
    def tick(self) -> int: ...
    def flush(self) -> int: ...
    def next_deadline(self) -> int: ...
    def detach(self) -> None: ...
    def stats(self) -> EndpointStats: ...

def interface_addresses() -> list[tuple[str, bytes]]: ...
