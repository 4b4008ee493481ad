"""A bounded memory of ids."""

from __future__ import annotations

from collections import OrderedDict


class RecentIds:
    """The ids added last, at most `kept` of them."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._ids: OrderedDict[int, None] = OrderedDict()

    def add(self, new_id: int) -> None:
        self._ids[new_id] = None
        self._ids.move_to_end(new_id)
        if len(self._ids) > self._kept:
            self._ids.popitem(last=False)

    def __contains__(self, some_id: int) -> bool:
        return some_id in self._ids

    def newest(self, count: int) -> list[int]:
        """Those added last, oldest first."""
        return list(self._ids)[-count:]
