"""Check weight files before they are read, since they may come from anybody.

Afterwards, safetensors or torch with ``weights_only=True`` reads tensors only. The checks find what
these do not refuse, or refuse with dangerous advice.
"""

import hashlib
import pickletools
import re
from functools import cache
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from .._utils._file_types import kind_of

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_N_LEGACY_PICKLES = 5  # magic number, version, system, tensors, keys of their storages
_ITEM_SIZES = {
    **dict.fromkeys(("ComplexDoubleStorage",), 16),
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
}
_PUTS = {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}
_GETS = {"BINGET", "LONG_BINGET", "GET"}
SAVE_TENSORS = (
    "Save the tensors alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
)


def check_checkpoint(file):
    """Raise ValueError if a file may hold more than tensors, or less data than it declares.

    That is if it is TorchScript that OpenAI has not published, has another format, is compressed,
    or declares more data than it holds. Nothing has then been unpickled. Of a ``.safetensors``
    file, safetensors itself checks all sizes before it reads.
    """
    if file.suffix == ".safetensors":
        _check_safetensors(file)
        return
    with open(file, "rb") as stream:
        start = stream.read(32)
        if start.startswith(_ZIP):
            _check_archive(file)
        elif start.startswith(_PICKLE):
            stream.seek(0)
            _check_pickles(stream, file.stat().st_size)
        else:
            raise ValueError(f"it is {kind_of(start) or 'of no known format'}. {SAVE_TENSORS}.")


def _check_safetensors(file):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt"):
            return
    except SafetensorError as error:
        with open(file, "rb") as stream:
            kind = kind_of(stream.read(132)) or f"damaged or cut short ({error})"
        raise ValueError(f"it is {kind}: fetch it again.") from error


def is_archive(file):
    """Return whether torch reads a file as a zip archive."""
    with open(file, "rb") as stream:
        return stream.read(4) == _ZIP


def is_torchscript(file):
    """Return whether a file is a TorchScript archive, which holds code, by the names in it."""
    if not is_archive(file):
        return False
    with ZipFile(file) as archive:
        return _has_code(archive.namelist())


def reason(error):
    """Return why weights could not be read, without torch's advice to run the code in them."""
    text = str(error)
    if "weights_only" not in text:
        return text
    found = re.search(r"GLOBAL (\S+)", text)
    named = f", such as {found[1]}" if found else ""
    return (
        f"it holds more than tensors{named}, which can run code when it is read, so it was not. "
        f"{SAVE_TENSORS}."
    )


def _has_code(names):
    return any(name.endswith("/constants.pkl") or "/code/" in name for name in names)


def _check_archive(file):
    try:
        with ZipFile(file) as archive:
            if _has_code(archive.namelist()):
                _check_is_openais(file)
            else:
                _check_entries(archive, file)
    except BadZipFile as error:
        raise ValueError(f"it is damaged ({error}): fetch it again.") from error


def _check_entries(archive, file):
    entries = archive.infolist()
    pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        kind = "a NumPy archive" if file.suffix == ".npz" else "a zip file of something else"
        raise ValueError(f"it is {kind}, not weights that torch.save wrote. {SAVE_TENSORS}.")
    if any(entry.compress_type != ZIP_STORED for entry in entries):
        raise ValueError("it is compressed, which torch.save never does: fetch it again.")
    if sum(entry.file_size for entry in entries) > file.stat().st_size:
        raise ValueError("its table of contents names more than is in it: fetch it again.")
    sizes = {entry.filename.partition("/data/")[2]: entry.file_size for entry in entries}
    with archive.open(pickles[0]) as stream:
        for key, n_bytes in _storages(stream):
            _check_size(n_bytes, sizes.get(key, 0))


def _check_is_openais(file):
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest not in openai_digests():
        raise ValueError(
            "it is a TorchScript archive, which holds code, and none of those that OpenAI "
            f"published (by its SHA-256), so it was not read. {SAVE_TENSORS}."
        )


@cache
def openai_digests():
    """Return the SHA-256 of the archives that OpenAI published, which are in their URLs."""
    import open_clip

    models = open_clip.list_openai_models()
    return {open_clip.get_pretrained_cfg(name, "openai")["url"].split("/")[-2] for name in models}


def _check_pickles(stream, size):
    for _ in range(_N_LEGACY_PICKLES):
        for _, n_bytes in _storages(stream):
            _check_size(n_bytes, size)


def _check_size(declared, present):
    if declared > present:
        raise ValueError(
            f"it declares a tensor of {declared} bytes where it has {present}: fetch it again."
        )


def _storages(stream):
    """Yield key and declared bytes of each storage in a pickle of torch.save; run nothing.

    A storage is ``("storage", type, key, location, number of items)``, followed by None in old
    files.
    """
    memo, values, before = {}, [], ""
    try:
        for code, argument, _ in pickletools.genops(stream):
            if code.name in _PUTS:
                memo[len(memo) if argument is None else argument] = values[-1]
                continue
            if code.name in _GETS:
                values.append(memo.get(argument))
            elif code.name == "BINPERSID":
                yield _declared(values, before)
            elif code.name in ("POP", "POP_MARK", "DUP"):  # these could hide a number
                raise ValueError(code.name)
            elif code.name not in ("TUPLE", "PROTO", "FRAME"):
                values.append(argument)
            before = code.name
            del values[:-8]
    except (ValueError, IndexError, UnicodeError, MemoryError, OverflowError) as error:
        raise ValueError(f"it is not what torch.save writes ({error}). {SAVE_TENSORS}.") from error


def _declared(values, before):
    *_, kind, key, _, n_items = values[:-1] if values[-1] is None else values
    if before != "TUPLE" or not isinstance(n_items, int) or n_items < 0:
        raise ValueError("a storage has no number of items")
    name = kind.rpartition(" ")[2] if isinstance(kind, str) else ""
    return key, n_items * _ITEM_SIZES.get(name, 1)
