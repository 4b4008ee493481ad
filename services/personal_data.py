"""Personal data: the interface by which each store shows and deletes what it has of a person."""

from __future__ import annotations

from typing import Any, Protocol


class PersonalDataStore(Protocol):
    """A store that may hold something of a person's."""

    holds: str  # what it keeps, for how long, as one line of /privacy show

    async def export_user(self, user_id: int) -> Any:
        """Everything it has of the person, as JSON values; empty when there is nothing.

        Raises:
            OSError: the disk refused.
        """

    async def delete_user(self, user_id: int) -> int:
        """Remove everything it has of the person, from memory and disk.

        Returns:
            How many entries went.

        Raises:
            OSError: the disk refused; some of it may still be there.
        """
