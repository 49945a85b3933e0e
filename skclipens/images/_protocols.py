"""Check the fsspec protocols of names, which may be others' and could fetch anything."""

from ..exceptions import ImageError

LOCAL = ("file",)
_ALIASES = {"local": "file"}
# These fetch nothing themselves: they look into the file that the next link of a chain names.
_INTO_FILES = {"tar", "zip"}


def check_protocols(protocols):
    """Check protocols and return them as a tuple of str.

    Raise ValueError if it is one string, or holds something that is no protocol.
    """
    if isinstance(protocols, str):
        raise ValueError(f"protocols={protocols!r} is a list: pass protocols=({protocols!r},).")
    protocols = tuple(protocols)
    for one in protocols:
        if not isinstance(one, str) or not one or ":" in one or "/" in one:
            raise ValueError(
                f"protocols={protocols!r} has {one!r}, which is no protocol; one is 'file' or "
                "'https', without '://'."
            )
    return protocols


def is_url(name):
    """Return whether a name is a URL; otherwise, it is a path."""
    return "://" in name


def refuse_protocols(name, protocols, what):
    """Raise ImageError if a link of a path or URL has a protocol that is not allowed.

    The message begins with `what`, such as ``"row 3"``.
    """
    lacking = [one for one in protocols_of(name) if one not in {*protocols, *_INTO_FILES}]
    if lacking:
        needed = (*protocols, *dict.fromkeys(lacking))
        raise ImageError(
            f"{what}, {name!r}: images are not fetched by {lacking[0]!r} unless you say so. If you "
            f"trust whoever made these names, pass protocols={needed}."
        )


def protocols_of(name):
    """Return protocols of the links, as fsspec reads them; a last link without one is a path."""
    if not is_url(name):
        return ["file"]
    *links, last = name.split("::")
    found = [link.partition("://")[0] for link in links]
    found.append(last.partition("://")[0] if is_url(last) else "file")
    return [_ALIASES.get(one, one) for one in found]
