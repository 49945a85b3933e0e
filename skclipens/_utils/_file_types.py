"""Detect the type of a file from its first bytes."""

import re

ARRAY, DICOM, HDF5, ZIP = "a NumPy array", "a DICOM file", "an HDF5 file", "a zip archive"
_SIGNS = {
    rb"\Z": "empty",
    rb"\x93NUMPY": ARRAY,
    rb"\x89HDF": HDF5,
    rb"GGUF": "a GGUF file",
    rb"PK\x03\x04": ZIP,
    rb".{128}DICM": DICOM,
    rb".{4}ftyp(isom|iso\d|mp4\d|M4V|qt|3g|avc1|dash|MSNV)|RIFF.{4}AVI|\x1aE\xdf\xa3": "a film",
    rb"version https://git-lfs": "a pointer of Git LFS, whose file was not fetched (git lfs pull)",
    rb"\s*<": "a page of HTML or XML, as of a download that failed",
    rb"\s*(\{\s*[\"}]|\[\s*[\"\[{\d])": "JSON, as of a download that failed",
}


def kind_of(start):
    """Return the type of a file by its first bytes, as in "it is a NumPy array", or None.

    DICOM needs 132 bytes.
    """
    found = (kind for sign, kind in _SIGNS.items() if re.match(sign, start, re.DOTALL))
    return next(found, None)
