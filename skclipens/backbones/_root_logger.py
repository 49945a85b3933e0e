"""What open_clip writes to the root logger."""

import logging
from contextlib import contextmanager

from .._utils._locks import Overlapping


@contextmanager
def _root_handler():
    root = logging.getLogger()
    if root.handlers:
        yield
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


# logging.info, which open_clip calls, installs a handler if there is none. It would stay, and then
# the user's logging.basicConfig does nothing.
own_handler = Overlapping(_root_handler)
