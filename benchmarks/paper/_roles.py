"""Roles of the sets, validation or test: no picture has both."""

import pandas as pd

from .._machine import markdown_of

VALIDATION, TEST = "validation", "test"
RULE = """\
Each set has one role. Validation sets choose constants, defaults and the pool of experts; figures
are reported on test sets. No picture has both roles.

- **OpenMoji** trained none of the zoo's models. Every third drawing of a class, in the order of
  codepoints, trains `emoji-style`, which is a test set. The others are for validation.
- **Caltech101 and the validation pictures of Tiny ImageNet.** Classes are sorted by name and
  counted from zero. Those at even positions are for validation, those at odd positions for test.
- **The training pictures of Tiny ImageNet**, of the classes at even positions, are for validation
  with up to 500 labels per class, with the zoo alone: they trained the models on photographs.
- **`font-characters`**, digits and capital letters in computer fonts (Chars74K), is laid out on
  disk by `benchmarks.paper.new_sets`, and is for validation with up to 500 labels per class.
- **Tables of numbers** of the UCI repository, in `benchmarks.paired_tables`. Of 19 names,
  sorted, those at even positions are for validation, those at odd positions for test.
- **PACS.** Art paintings and sketches are for validation, photographs and cartoons for test.
- **Left out** are the faces, the easy faces and the elephant of Caltech101, all at even positions:
  the same photographs are in PACS. Some electric guitars are in both sets, too, but there both are
  for test."""

HALVES = {VALIDATION: "even", TEST: "odd"}
PACS_DOMAINS = {VALIDATION: ("art_painting", "sketch"), TEST: ("photo", "cartoon")}
IN_PACS_TOO = ("centered face", "off-center face", "elephant")

_OPENMOJI = (
    "openmoji",
    "openmoji-lines",
    "openmoji-letters",
    "openmoji-colour-to-lines",
    "openmoji-lines-to-colour",
)
MANY = "tiny-imagenet-many-even"
_FOLDERS = {"font-characters": VALIDATION}  # that are laid out on disk, and named by their paths
_LOCAL = ("emoji", "tuxpaint", "digits", "emoji-style")


def pacs_pairs(role):
    """Return name, domain to train on and domain to test on, in both directions."""
    one, other = PACS_DOMAINS[role]
    return [
        (f"pacs-{train}-to-{test}", train, test) for train, test in ((one, other), (other, one))
    ]


def photographs(role):
    """Return names of sets of photographs and scans with a role that can be laid out on disk."""
    names = [f"caltech101-{HALVES[role]}", f"tiny-imagenet-{HALVES[role]}"]
    names += [name for name, _, _ in pacs_pairs(role)]
    return [*names, "cifar10", "mnist", "gtsrb"] if role == TEST else names


ROLES = {name: VALIDATION for name in (*_OPENMOJI, *photographs(VALIDATION), MANY)}
ROLES |= {name: TEST for name in (*_LOCAL, *photographs(TEST))}


def role_of(name):
    """Return the role of a set, or "" for whole Caltech101, whose classes have both roles.

    A perturbed set has the role of its clean one; other sets of the paper are for test.
    """
    name = name.removesuffix("-perturbed")
    return (ROLES | _FOLDERS).get(name, "" if name == "caltech101" else TEST)


def table():
    """Return the roles in Markdown."""
    rows = {f"`{name}`": [role] for name, role in ROLES.items()}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["role"])
    frame.index.name = "set"
    return markdown_of(frame)
