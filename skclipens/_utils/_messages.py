"""Lists of names in messages."""


def listed(names, *, most=3, write=repr):
    """Return some names, each once, and the number of others: ``"'a', 'b', 'c' and 5 more"``."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(write, names[:most])) + more
