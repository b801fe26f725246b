"""Closing step by step: a step that fails keeps no other from being taken."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger("gossip")


async def close_all(*steps: Callable[[], Awaitable[object] | None]) -> None:
    """Takes every step in order and waits for those that can be waited for.

    Raises what the first step raised that did, a cancellation included; what others raise after
    it is logged.
    """
    first: BaseException | None = None
    for step in steps:
        try:
            under_way = step()
            if under_way is not None:
                await under_way
        except BaseException as error:
            if first is None:
                first = error
            else:
                _log.exception("closing failed in more than one way")
    if first is not None:
        raise first
