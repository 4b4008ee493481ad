"""Whole-file writes that a crash cannot halve: temporary file, fsync, rename, directory fsync."""

from __future__ import annotations

import os
from pathlib import Path

_UNFINISHED = ".new"


def remove_unfinished(directory: Path) -> None:
    """Delete what a killed process left of its writes: half a file may hold what was deleted."""
    for path in directory.glob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file; after a crash the old or the new one is there. Blocks: run it in a thread.

    Raises:
        OSError: the disk refused; the old file is still whole.
    """
    temporary = path.with_name(path.name + _UNFINISHED)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
