"""Collect warnings of Pillow and of this package about images, by row, in any thread."""

import math
from contextlib import contextmanager, suppress

from .._utils._warnings import FilterOfThread, put_first, warn
from ._containers import called, name_of_row

_LISTED = 3  # images that a message names
_ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF")


class _Recorder(FilterOfThread):
    """Filter that records Pillow's warnings in a thread that uses :func:`recorded`.

    In workers that it is handed on to, it matches nothing.
    """

    texts = None

    def match(self, text):
        """Match a message, in place of a regular expression."""
        # Not Pillow's: the garbage collector may warn of unclosed files in between.
        if self.texts is None or text.startswith("unclosed "):
            return False
        self.text = text
        return True

    def keep(self, module):
        """Match a module, in place of a regular expression, after the message, which is kept."""
        if self.texts is None or not module.startswith("PIL"):
            return False
        self.texts.append(self.text)
        return True


class _OfModules(FilterOfThread):
    def match(self, module):
        return _recorder.keep(module)


_recorder = _Recorder()
_filter = ("ignore", _recorder, Warning, _OfModules(), 0)


@contextmanager
def recorded():
    """Return a context that collects Pillow's warnings of this thread in the list it yields."""
    put_first(_filter)
    before, _recorder.texts = _recorder.texts, []
    try:
        yield _recorder.texts
    finally:
        _recorder.texts = before


def warn_or_record(name, text):
    """Warn of an image by its name, or add the text alone to the list of :func:`recorded`."""
    if _recorder.texts is None:
        warn(f"{name}: {text}")
    else:
        _recorder.texts.append(text)


def warn_of_frames(opened, first, size, name):
    """Warn of what is not read of a file with several pages or frames.

    That is if a TIFF file has a second page that is no smaller copy of the first, or an animation
    begins with a frame of one colour. `first` is the page or frame that is read, maybe at a
    fraction of its `size`.
    """
    if opened.format not in ("TIFF", *_ANIMATIONS):
        return
    with suppress(Exception):  # a page that is not read may be damaged
        if not opened.is_animated:
            return
        if opened.format in _ANIMATIONS:
            if all(low == high for low, high in first.getextrema()):
                warn_or_record(
                    name,
                    "the first of its frames is of one colour, and the others are not read. Save "
                    "the frame that matters as a file.",
                )
            return
        opened.seek(1)
        # Pages of a pyramid have a quarter of the pixels. Scans of both sides differ by a few.
        if 2 * math.prod(opened.size) > math.prod(size):
            warn_or_record(
                name,
                "it has several pages, of which the first is read. Save the page that matters as a "
                "file, or merge three of them as red, green and blue.",
            )


def warn_of(notes, images):
    """Give one warning for all images that have notes, a dict from rows to lists of warnings.

    `images` are the images, or their names.
    """
    if not notes:
        return
    rows = sorted(notes)
    named = [
        f"In {called(row, name_of_row(row, images))}: {' '.join(notes[row])}"
        for row in rows[:_LISTED]
    ]
    more = f" And {len(rows) - _LISTED} more." if len(rows) > _LISTED else ""
    found = f"{len(rows)} images look wrong; they are used as they are."
    found = "1 image looks wrong; it is used as it is." if len(rows) == 1 else found
    warn(f"{found} {' '.join(named)}{more}")
