"""Lay out the new sets, whose pictures are in public repositories, one folder for each class.

    python -m benchmarks.paper.new_sets SOURCE_DIR PICTURES [--sets NAME ...] [--most N]

SOURCE_DIR has a folder for each repository of ``SETS`` that you have, named like it (without its
owner). PICTURES gets a folder for each set, with links to at most N pictures of each class, 150 by
default, drawn at random. Copies are left out. So are near copies, except among letters, digits and
drawn shapes. Classes with fewer than 35 pictures are left out, too.

The sets of ``SETS`` were chosen before anything was measured on them. They only test. Those of
``VALIDATION_SETS`` are for validation; they are laid out if they are named.
"""

import csv
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._machine import markdown, parser_of
from .duplicates import same_pictures, thumbnails

MOST, LEAST = 150, 35
_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}


class NewSet(NamedTuple):
    """Where the pictures of a set are."""

    repository: str
    folders: tuple  # patterns of folders, in the repository
    place: int = -2  # of the class, among the parts of a path; -1: name of the file, to its number
    words: dict = {}  # of classes that have other names in the repository
    legend: str = ""  # CSV file with names of files and, last, of classes
    similar: bool = False  # whether different pictures look like copies


_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "zero one two three four five six seven eight nine".split()
_LETTERS = (
    "ka kha ga gha kna cha chha ja jha yna taamatar thaa "
    "daa dhaa adna tabala tha da dha na pa pha "  # codespell:ignore
    "ba bha ma yaw ra la waw motosaw petchiryakha patalosaw ha chhya tra gya"
).split()
_MONKEYS = (
    "mantled howler, patas monkey, bald uakari, japanese macaque, pygmy marmoset, "
    "white-headed capuchin, silvery marmoset, squirrel monkey, night monkey, nilgiri langur"
).split(", ")

SETS = {
    "chest-xray": NewSet(
        "muhammedtalo/COVID-19", ("X-Ray Image DataSet/*",), words={"No_findings": "healthy"}
    ),
    "clothing": NewSet("alexeygrigorev/clothing-dataset-small", ("*/*",)),
    "devanagari-handwriting": NewSet(
        "shim1998/Hindi-Handwritten-Character-Recognition",
        ("dataset/*/*",),
        words={f"character_{i}": name for i, name in enumerate(_LETTERS, 1)}
        | {f"digit_{i}": name for i, name in enumerate(_DIGITS)},
        similar=True,
    ),
    "dishes": NewSet(
        "faidhiadlyn/predictingaddedsugarindish",
        ("train/*",),
        words={
            "choccake": "chocolate cake",
            "hotdog": "hot dog",
            "icecream": "ice cream",
            "kueytiaw": "kuey teow",
        },
    ),
    "facial-expressions": NewSet(
        "muxspace/facial_expressions", ("images",), legend="data/legend.csv"
    ),
    "flowers": NewSet("Kounteyo98/Data", ("*/*",)),
    "grocery-store": NewSet(
        "marcusklasson/GroceryStoreDataset",
        ("dataset/t*/*/**", "dataset/val/*/**"),
        place=3,
        words={"Mushroom": "brown cap mushroom"},
    ),
    "hand-drawn-shapes": NewSet(
        "frobertpixto/hand-drawn-shapes-dataset", ("data/*/images/*",), similar=True
    ),
    "intel-scenes": NewSet("afroozsheikh/Intel-Image-Classifier", ("train/*", "test/*")),
    "monkey-species": NewSet(
        "nikhildutta333/Monkey-Species-Classification",
        ("*/n*",),
        words={f"n{i}": name for i, name in enumerate(_MONKEYS)},
    ),
    "rice-leaf-diseases": NewSet("aldrin233/RiceDiseases-DataSet", ("*/orig", "*/Orig"), place=-3),
    "satellite-rsscn7": NewSet(
        "palewithout/RSSCN7",
        ("*",),
        words={
            "aGrass": "grass",
            "bField": "field",
            "cIndustry": "industry",
            "dRiverLake": "river or lake",
            "eForest": "forest",
            "fResident": "residential area",
            "gParking": "parking",
        },
    ),
    "sedimentary-rocks": NewSet("Shreya5022123/CNN-based-Rock-Classification", ("Sedimentary/*",)),
    "sign-language-digits": NewSet(
        "ardamavi/Sign-Language-Digits-Dataset",
        ("Dataset/*",),
        words={str(i): name for i, name in enumerate(_DIGITS)},
        similar=True,
    ),
    "sports": NewSet(
        "jurjsorinliviu/Sports-Type-Classifier",
        ("data/*",),
        words={"formula1": "formula 1", "motogp": "motorcycle racing", "wwe": "show wrestling"},
    ),
    "steel-defects": NewSet("duanhan123/YOLOv3_PyTorch", ("NEU-DET/IMAGES",), place=-1),
    "textures-dtd10": NewSet("pan8915/DeepTexture", ("images/*",)),
    "trashnet": NewSet("congduytran12/Trash-Classification-", ("dataset-resized/*",)),
}
VALIDATION_SETS = {
    "font-characters": NewSet(
        "dnth/car_plate_localization",
        ("English/Fnt/*",),
        words={
            f"Sample{i:03}": name
            for i, name in enumerate([*_DIGITS, *(f"capital letter {c}" for c in _CAPITALS)], 1)
        },
        similar=True,
    )
}
_ALL = SETS | VALIDATION_SETS


def classes_of(wanted, folder):
    """Return paths of the pictures of a set and the names of their classes, sorted by path."""
    paths = {path for pattern in wanted.folders for path in folder.glob(f"{pattern}/*")}
    paths = sorted(path for path in paths if path.suffix.lower() in _ENDINGS and path.is_file())
    if wanted.legend:
        with (folder / wanted.legend).open(encoding="utf-8", newline="") as file:
            of_file = {image: name.lower() for *_, image, name in csv.reader(file)}
        paths = [path for path in paths if path.name in of_file]
        return paths, [of_file[path.name] for path in paths]
    parts = (path.relative_to(folder).parts[wanted.place] for path in paths)
    return paths, [wanted.words.get(part) or _words(part) for part in parts]


def _words(part):
    name, dot, _ = part.rpartition(".")
    name = name.rpartition("_")[0] if dot else part
    return name.replace("_", " ").replace("-", " ").strip().lower()


def draw(paths, classes, similar, most=MOST, seed=0):
    """Return positions of at most `most` pictures of each class, without copies, in order."""
    rng, of_class = np.random.default_rng(seed), {}
    for i in rng.permutation(len(paths)):
        of_class.setdefault(classes[i], []).append(i)
    candidates = [some[: 2 * most] for some in of_class.values()]  # some may be copies
    rows = np.array(sorted(i for some in candidates for i in some), int)
    rows = rng.permutation(rows)
    rows = rows[_first_of_each(rows, paths)]
    if not similar:
        known = thumbnails([str(paths[i]) for i in rows])
        pairs = same_pictures(known, known)
        rows = np.delete(rows, [later for earlier, later in pairs if earlier < later])
    kept = {}
    for i in rows:
        kept.setdefault(classes[i], []).append(i)
    return sorted(i for some in kept.values() if len(some) >= LEAST for i in some[:most])


def _first_of_each(rows, paths):
    """Return positions of rows whose file has other bytes than all before."""
    contents = [hashlib.sha256(paths[i].read_bytes()).digest() for i in rows]
    return np.sort(np.unique(contents, return_index=True)[1])


def lay_out(source, target, names=tuple(SETS), most=MOST):
    """Link at most `most` pictures of each class of the sets of a folder into another.

    Returns
    -------
    dict
        Numbers of classes and pictures, by the name of the set.

    Raises
    ------
    FileExistsError
        If the target already has pictures of a set.
    """
    found = {}
    for name in names:
        wanted = _ALL[name]
        folder = Path(source).resolve() / wanted.repository.partition("/")[2]
        if not folder.is_dir():
            continue
        paths, classes = classes_of(wanted, folder)
        rows = draw(paths, classes, wanted.similar, most)
        for i in rows:
            link = Path(target) / name / classes[i] / f"{i:05}{paths[i].suffix.lower()}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(paths[i])
        found[name] = len({classes[i] for i in rows}), len(rows)
    return found


def main(arguments=None):
    """Run the program."""
    parser = parser_of("paper.new_sets", __doc__)
    parser.add_argument("source", type=Path, metavar="SOURCE_DIR")
    parser.add_argument("target", type=Path, metavar="PICTURES")
    parser.add_argument("--sets", nargs="+", default=[*SETS], choices=[*_ALL], metavar="NAME")
    parser.add_argument("--most", type=int, default=MOST, help="pictures of each class")
    options = parser.parse_args(arguments)
    found = lay_out(options.source, options.target, options.sets, options.most)
    print(markdown(["set", "classes", "pictures"], [[name, *n] for name, n in found.items()]))


if __name__ == "__main__":
    main()
