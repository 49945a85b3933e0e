"""Lay out pictures that you have as ``fetch_benchmark`` and the benchmark of the paper read them.

    python -m benchmarks.paper.photographs SOURCE_DIR DATA_HOME

SOURCE_DIR has a folder for each set that you have, named ``caltech101``, ``cifar10``, ``mnist``,
``gtsrb``, ``pacs`` or ``tiny-imagenet``, each with the files of a public repository:

    caltech101     101_ObjectCategories/CLASS/*.jpg
    cifar10        train/CLASS/*, test/CLASS/*
    mnist          train/DIGIT/*, test/DIGIT/*
    gtsrb          GTSRB/Final_Training/Images/000NN/*.ppm, GTSRB/Final_Test/Images/*.ppm,
                   GTSRB/Final_Test/GT-final_test.csv
    pacs           PACS/DOMAIN/CLASS/*
    tiny-imagenet  tiny-imagenet-200/{train,val,words.txt,wnids.txt}

Nothing is copied: DATA_HOME gets links. What is known of these copies is written there too, and
is said beside the numbers.
"""

import json
from pathlib import Path

from .._machine import parser_of

COPIES = "copies.json"
DOMAINS = ("art_painting", "cartoon", "photo", "sketch")

# Paths in the data home of the content of the source.
LAYOUTS = {
    "caltech101": {"caltech101/101_ObjectCategories": "101_ObjectCategories"},
    "cifar10": {f"cifar10/{part}": part for part in ("train", "test")},
    "mnist": {f"mnist/{part}": part for part in ("train", "test")},
    "gtsrb": {
        "gtsrb/GTSRB/Training": "GTSRB/Final_Training/Images",
        "gtsrb/GTSRB/Final_Test/Images": "GTSRB/Final_Test/Images",
        "gtsrb/GT-final_test.csv": "GTSRB/Final_Test/GT-final_test.csv",
    },
    "pacs": {f"pacs/{domain}": f"PACS/{domain}" for domain in DOMAINS},
    "tiny-imagenet": {
        f"tiny-imagenet-200/{part}": f"tiny-imagenet-200/{part}"
        for part in ("train", "val", "words.txt", "wnids.txt")
    },
}
NOTES = {
    "caltech101": "original sizes",
    "cifar10": "re-encoded as JPEG, quality 75",
    "mnist": "as PNG, without loss",
    "gtsrb": "resized to 32 x 32",
    "pacs": "as published, 227 x 227",
    "tiny-imagenet": "as published, 64 x 64",
}


def lay_out(source, data_home):
    """Link the sets of a folder into a data home.

    Returns
    -------
    list of str
        Names of the sets that were found.

    Raises
    ------
    FileNotFoundError
        If the folder of a set lacks files.
    FileExistsError
        If the data home already has files of a set.
    """
    source, data_home = Path(source).resolve(), Path(data_home)
    found = [name for name in LAYOUTS if (source / name).is_dir()]
    for name in found:
        for there, here in LAYOUTS[name].items():
            _link(data_home / there, source / name / here)
    file = data_home / COPIES
    known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    known |= {name: NOTES[name] for name in found}
    data_home.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
    return found


def _link(link, target):
    if not target.exists():
        raise FileNotFoundError(f"{target} is missing.")
    if link.is_symlink():
        link.unlink()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def main(arguments=None):
    """Run the program."""
    parser = parser_of("paper.photographs", __doc__)
    parser.add_argument("source", type=Path, metavar="SOURCE_DIR")
    parser.add_argument("data_home", type=Path, metavar="DATA_HOME")
    options = parser.parse_args(arguments)
    for name in lay_out(options.source, options.data_home):
        print(f"{name}: {NOTES[name]}")


if __name__ == "__main__":
    main()
