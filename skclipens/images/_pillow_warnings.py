"""What Pillow, or this package, doubts of images it decodes: by row, in whatever thread."""

from contextlib import contextmanager

from .._utils._warnings import FilterOfThread, put_first, warn
from ._wrapped import called, name_of_row

_LISTED = 3  # images that a message names


class _Recorder(FilterOfThread):
    """Matches in a thread that records, and for modules of Pillow, and keeps what it would show.

    Handed on to workers, it matches nothing.
    """

    texts = None

    def match(self, text):
        """As of the regular expression for messages."""
        # The garbage collector may warn of unclosed files in between, which is none of Pillow's.
        if self.texts is None or text.startswith("unclosed "):
            return False
        self.text = text
        return True

    def keep(self, module):
        """As of the regular expression for modules, which is asked after that of messages."""
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
    """A context in which Pillow's warnings in this thread go into the list that it gives."""
    put_first(_filter)
    before, _recorder.texts = _recorder.texts, []
    try:
        yield _recorder.texts
    finally:
        _recorder.texts = before


def doubt(text):
    """Warn of an image, or leave it to whoever records."""
    if _recorder.texts is None:
        warn(text)
    else:
        _recorder.texts.append(text)


def warn_of(notes, images):
    """Warn once of all images that there are doubts about.

    Parameters
    ----------
    notes : dict of int to list of str
        Warnings by row.
    images : sequence
        Images, or their names.
    """
    if not notes:
        return
    rows = sorted(notes)
    named = [_said(row, notes[row], images) for row in rows[:_LISTED]]
    more = f" And {len(rows) - _LISTED} more." if len(rows) > _LISTED else ""
    which = "1 image, which is" if len(rows) == 1 else f"{len(rows)} images, which are"
    warn(f"There are doubts about {which} read all the same. {' '.join(named)}{more}")


def _said(row, texts, images):
    """What is doubted of an image, with its path once."""
    name = name_of_row(row, images)
    texts = [text.removeprefix(f"{name!r}: ") for text in texts]
    return f"In {called(row, name)}: {' '.join(texts)}"
