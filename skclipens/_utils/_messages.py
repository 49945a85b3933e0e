"""Words of messages."""


def listed(names, *, most=3, write=repr):
    """Some names, each once, and how many more there are: ``"'a', 'b', 'c' and 5 more"``.

    Parameters
    ----------
    names : iterable
        Names that can be keys of a dict.
    most : int
        How many are written.
    write : callable
        Makes text of a name.

    Returns
    -------
    str
    """
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(write, names[:most])) + more
