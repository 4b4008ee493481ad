"""Packets that get lost or dawdle, on demand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _PacketFault:
    remaining: int
    speaker_id: str | None
    delay_s: float | None  # None: lost


class PacketFaults:
    """What happens to the next packets between speakers and listeners."""

    def __init__(self) -> None:
        self._faults: list[_PacketFault] = []

    def add(self, count: int, *, speaker_id: str | None, delay_s: float | None) -> None:
        """For the next `count` packets of a speaker (None: of anybody); no delay means lost."""
        self._faults.append(_PacketFault(count, speaker_id, delay_s))

    def clear(self) -> None:
        self._faults.clear()

    def take(self, speaker_id: str) -> float | None:
        """How long the speaker's next packet waits, in seconds; None if it is lost."""
        for fault in self._faults:
            if fault.speaker_id in (None, speaker_id):
                fault.remaining -= 1
                if fault.remaining <= 0:
                    self._faults.remove(fault)
                return fault.delay_s
        return 0.0
