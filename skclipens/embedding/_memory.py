"""Rows of a store that this process has read."""

_MAX_IN_MEMORY = 2**28  # bytes
_memory = {}  # by file and models, the rows that this process has read, by the key of the image


def forget(file):
    """Drop what is kept of a store's file."""
    for of_file in [key for key in _memory if key[0] == file]:
        _memory.pop(of_file, None)


def _keep_in_memory(memory, rows):
    memory.update(rows)
    size = sum(
        len(kept) * next(iter(kept.values())).nbytes for kept in list(_memory.values()) if kept
    )
    if size > _MAX_IN_MEMORY:
        _memory.clear()
