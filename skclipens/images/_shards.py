"""Tar files of images: which members they have, and where."""

import posixpath
import re
import tarfile

from ._fetching import is_lasting, locate, split

_SHARD = re.compile(r"\.(tar|tgz|tar\.(gz|bz2|xz|zst))$", re.IGNORECASE)
_READ_AT_ONCE = 2**20  # bytes


def is_shard(name):
    """Return whether a path or URL is that of a tar file, by the end of its name."""
    return bool(_SHARD.search(split(name)[1]))


def member_and_shard(name):
    """Split ``tar://MEMBER::SHARD`` in two; the shard is None for any other name."""
    before, url, rest = split(name)
    protocol, _, member = url.partition("://")
    return (member, "::".join(rest)) if rest and not before and protocol == "tar" else (name, None)


def members_of(shard):
    """Yield the files in a tar file, in its order, with start and stop in bytes.

    A hard link is the earlier file that it leads to. The place is None for other links, and for a
    sparse file, which has holes. Raise ValueError if the file is no tar file, compressed, damaged
    or cut short.
    """
    try:
        fs, path = locate(shard)
        with fs.open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            places = {}
            while (member := tar.next()) is not None:
                tar.members.clear()  # they would be kept for a search by name
                if member.issparse() or member.issym():
                    place = None
                elif member.isreg():
                    place = member.offset_data, member.offset_data + member.size
                elif member.islnk():
                    place = places.get(posixpath.normpath(member.linkname))
                else:
                    continue
                places[posixpath.normpath(member.name)] = place
                yield member.name, place
            _check_end(file, tar.offset, shard)
    except tarfile.TarError as error:
        raise ValueError(
            f"{shard!r} cannot be read as a tar file: {error}. A shard is not compressed, so that "
            "an image can be read from the middle of it; unpack one that is."
        ) from error


def places_in(shard):
    """Return the places of members by their normal names, as far as a shard can be read."""
    places = {}
    try:
        for member, place in members_of(shard):
            places[posixpath.normpath(member)] = place
    except Exception as error:
        if not isinstance(error, FileNotFoundError) and not is_lasting(error):
            raise
    return places


def _check_end(file, offset, shard):
    """Raise ValueError if tarfile has stopped before the end, as it does at a damaged member."""
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or any(block):
        raise ValueError(
            f"{shard!r} is damaged or was cut short: at byte {offset:,} there is neither a member "
            "nor the end of a tar file. Copy it again, or pack its files again."
        )
    while block:
        if block.strip(b"\0"):
            raise ValueError(
                f"{shard!r} is damaged or was joined from several tar files: something follows its "
                f"end at byte {offset:,}. Pack its files again, or name each tar file."
            )
        block = file.read(_READ_AT_ONCE)
