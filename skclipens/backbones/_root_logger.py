"""What open_clip writes to the root logger."""

import logging
from contextlib import contextmanager

from .._utils._locks import Overlapping

# Skclipens warns itself if one of several files was taken, and loads weights in other forms.
_NEEDLESS = (
    "Multiple checkpoints found",
    "No pretrained weights loaded",
    "Local config loaded, but no CLIP weights found",
)


def _is_needed(record):
    return not str(record.msg).startswith(_NEEDLESS)


@contextmanager
def _root_handler():
    root, handler = logging.getLogger(), logging.StreamHandler()
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    root.addFilter(_is_needed)
    if not root.handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        root.removeFilter(_is_needed)
        root.removeHandler(handler)  # which does nothing if it was not added


# logging.info, which open_clip calls, installs a handler if there is none. It would stay, and then
# the user's logging.basicConfig does nothing.
own_handler = Overlapping(_root_handler)
