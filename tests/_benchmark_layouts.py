"""Small copies of the benchmark sets, in the layout and the file formats of their publishers.

Each maker gets a folder and the pictures to put there. torchvision compares some files with a
table of checksums, which made pictures cannot have: for these sets the test empties that table,
and nothing else of torchvision is touched.
"""

import csv
import inspect
import json
import pickle

import numpy as np
from PIL import Image
from scipy.io import savemat

from skclipens.datasets._benchmark_specs import read_classes
from skclipens.images import as_image_list, load_image

SIZES = {"cifar10": 32, "cifar100": 32, "mnist": 28, "stl10": 96, "pcam": 96}

# The set's own names of some classes, and how they have to appear in a prompt.
NAMES = {
    "aircraft": {"707-320": "707-320", "F-16A/B": "F-16A/B", "Yak-42": "Yak-42"},
    "caltech101": {
        "Faces": "off-center face",
        "car_side": "side of a car",
        "yin_yang": "yin and yang symbol",
    },
    "cars": {"AM General Hummer SUV 2000": "AM General Hummer SUV 2000"},
    "cifar10": {"automobile": "automobile", "truck": "truck"},
    "cifar100": {"aquarium_fish": "aquarium fish", "worm": "worm"},
    "clevr_counts": {"3": "3", "10": "10"},
    "country211": {"AD": "Andorra", "CD": "DR Congo", "ZW": "Zimbabwe"},
    "cub200": {
        "001.Black_footed_Albatross": "Black footed Albatross",
        "200.Common_Yellowthroat": "Common Yellowthroat",
    },
    "dtd": {"banded": "banded", "zigzagged": "zigzagged"},
    "eurosat": {"SeaLake": "lake or sea", "AnnualCrop": "annual crop land"},
    "flowers102": {"1": "pink primrose", "10": "globe thistle", "102": "blackberry lily"},
    "food101": {"cheese_plate": "cheese plate", "cheesecake": "cheesecake"},
    "gtsrb": {
        "00014": "stop",
        "00040": "blue circle with white arrows indicating a traffic circle",
    },
    "imagenet": {"n01440764": "tench", "n15075141": "toilet paper"},
    "mnist": {"3": "3", "7": "7"},
    "pcam": {"0": "lymph node", "1": "lymph node containing metastatic tumor tissue"},
    "pets": {"Abyssinian": "Abyssinian", "yorkshire_terrier": "Yorkshire Terrier"},
    "rendered_sst2": {"negative": "negative", "positive": "positive"},
    "resisc45": {"baseball_diamond": "baseball diamond", "wetland": "wetland"},
    "stl10": {"airplane": "airplane", "monkey": "monkey"},
    "sun397": {"abbey": "abbey", "apse/indoor": "apse indoor", "youth_hostel": "youth hostel"},
}
NO_SPLIT = ("caltech101", "eurosat", "resisc45", "sun397")


class Picture:
    """One picture: of class `key`, the `c`-th of those used, number `j`, of train or test."""

    def __init__(self, name, key, c, j, test):
        self.key, self.c, self.j, self.test = key, c, j, test
        self.size = SIZES.get(name, 24)
        self.colour = (40 + 70 * c, 30 + 20 * j, 190 if test else 60)
        if name == "mnist":
            self.colour = (40 + 80 * c + 40 * j + 20 * test,) * 3
        self.id = f"{100 * c + 10 * j + test + 1:05d}"
        # The sets with a validation part have every second training picture in it.
        self.part = "test" if test else ("train", "val")[j % 2]

    def array(self):
        pixels = np.full((self.size, self.size, 3), self.colour, dtype=np.uint8)
        pixels[:4, : self.size // 2] = 0  # shows which way is up
        return pixels

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.array()).save(path, **({"quality": 95} if ".jp" in str(path) else {}))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lines(items):
    return "".join(f"{item}\n" for item in items)


def in_part(pictures, part):
    return [p for p in pictures if p.part == part]


def in_subset(pictures, test):
    return [p for p in pictures if p.test == test]


def aircraft(root, pictures):
    data = root / "fgvc-aircraft-2013b" / "data"
    # Not in the order of the registry: classes must be found by name.
    write(data / "variants.txt", lines(sorted({p.key for p in pictures}, reverse=True)))
    for name, test in (("trainval", False), ("test", True)):
        rows = [f"{p.id} {p.key}" for p in in_subset(pictures, test)]
        write(data / f"images_variant_{name}.txt", lines(rows))
    for p in pictures:
        p.save(data / "images" / f"{p.id}.jpg")


def caltech101(root, pictures):
    folder = root / "caltech101" / "101_ObjectCategories"
    for key in ("BACKGROUND_Google", *{p.key for p in pictures}):
        (folder / key).mkdir(parents=True)
    for p in pictures:
        p.save(folder / p.key / f"image_{p.j + 1:04d}.jpg")


def cars(root, pictures, names):
    folder = root / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": np.array(names, dtype=object)})
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
    for where, images, test in (
        ("devkit/cars_train_annos.mat", "cars_train", False),
        ("cars_test_annos_withlabels.mat", "cars_test", True),
    ):
        chosen = in_subset(pictures, test)
        rows = np.empty((1, len(chosen)), dtype=[(field, object) for field in fields])
        for i, p in enumerate(chosen):
            rows[0, i] = (1, 1, 20, 20, names.index(p.key) + 1, f"{p.id}.jpg")
            p.save(folder / images / f"{p.id}.jpg")
        savemat(folder / where, {"annotations": rows})


def _cifar(folder, pictures, names, batches, labels, meta):
    folder.mkdir()
    for batch, chosen in batches.items():
        data = [p.array().transpose(2, 0, 1).ravel() for p in chosen]
        content = {
            "data": np.array(data, dtype=np.uint8).reshape(-1, 3072),
            labels: [names.index(p.key) for p in chosen],
        }
        (folder / batch).write_bytes(pickle.dumps(content))
    (folder / meta[0]).write_bytes(pickle.dumps({meta[1]: names}))


def cifar10(root, pictures, names):
    train = in_subset(pictures, False)
    batches = {f"data_batch_{i + 1}": train[i::5] for i in range(5)}
    batches["test_batch"] = in_subset(pictures, True)
    folder = root / "cifar-10-batches-py"
    _cifar(folder, pictures, names, batches, "labels", ("batches.meta", "label_names"))


def cifar100(root, pictures, names):
    batches = {"train": in_subset(pictures, False), "test": in_subset(pictures, True)}
    folder = root / "cifar-100-python"
    _cifar(folder, pictures, names, batches, "fine_labels", ("meta", "fine_label_names"))


def clevr_counts(root, pictures):
    folder = root / "clevr" / "CLEVR_v1.0"
    for part, test in (("train", False), ("val", True)):
        scenes = []
        for p in in_subset(pictures, test):
            name = f"CLEVR_{part}_{p.id}.png"
            p.save(folder / "images" / part / name)
            scenes.append({"image_filename": name, "objects": [{"shape": "cube"}] * int(p.key)})
        write(folder / "scenes" / f"CLEVR_{part}_scenes.json", json.dumps({"scenes": scenes}))


def country211(root, pictures):
    for p in pictures:
        part = p.part.replace("val", "valid")
        p.save(root / "country211" / part / p.key / f"{p.id}.jpg")


def cub200(root, pictures, names):
    folder = root / "CUB_200_2011"
    write(folder / "classes.txt", lines(f"{i} {name}" for i, name in enumerate(names, 1)))
    rows = [(i, p, f"{p.key}/{p.key[4:]}_{p.id}.jpg") for i, p in enumerate(pictures, 1)]
    write(folder / "images.txt", lines(f"{i} {file}" for i, _, file in rows))
    labels = lines(f"{i} {names.index(p.key) + 1}" for i, p, _ in rows)
    write(folder / "image_class_labels.txt", labels)
    write(folder / "train_test_split.txt", lines(f"{i} {int(not p.test)}" for i, p, _ in rows))
    for _, p, file in rows:
        p.save(folder / "images" / file)


def dtd(root, pictures):
    folder = root / "dtd" / "dtd"
    for part in ("train", "val", "test"):
        rows = [f"{p.key}/{p.key}_{p.id}.jpg" for p in in_part(pictures, part)]
        write(folder / "labels" / f"{part}1.txt", lines(rows))
    for p in pictures:
        p.save(folder / "images" / p.key / f"{p.key}_{p.id}.jpg")


def eurosat(root, pictures):
    for p in pictures:
        p.save(root / "eurosat" / "2750" / p.key / f"{p.key}_{p.j + 1}.jpg")


def flowers102(root, pictures):
    folder = root / "flowers-102"
    for i, p in enumerate(pictures, 1):
        p.save(folder / "jpg" / f"image_{i:05d}.jpg")
    labels = np.array([[int(p.key) for p in pictures]], dtype=np.uint8)
    savemat(folder / "imagelabels.mat", {"labels": labels})
    parts = {"trnid": "train", "valid": "val", "tstid": "test"}
    ids = {
        key: np.array([[i for i, p in enumerate(pictures, 1) if p.part == part]], dtype=np.uint16)
        for key, part in parts.items()
    }
    savemat(folder / "setid.mat", ids)


def food101(root, pictures):
    folder = root / "food-101"
    for part, test in (("train", False), ("test", True)):
        files = {}
        for p in in_subset(pictures, test):
            files.setdefault(p.key, []).append(f"{p.key}/{p.id}")
            p.save(folder / "images" / p.key / f"{p.id}.jpg")
        write(folder / "meta" / f"{part}.json", json.dumps(files))


def gtsrb(root, pictures):
    folder = root / "gtsrb"
    images = folder / "GTSRB" / "Final_Test" / "Images"
    for p in in_subset(pictures, False):
        p.save(folder / "GTSRB" / "Training" / p.key / f"00000_{p.id}.ppm")
    for p in in_subset(pictures, True):
        p.save(images / f"{p.id}.ppm")
    with open(folder / "GT-final_test.csv", "w", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow("Filename Width Height Roi.X1 Roi.Y1 Roi.X2 Roi.Y2 ClassId".split())
        for p in in_subset(pictures, True):
            table.writerow([f"{p.id}.ppm", 24, 24, 5, 5, 20, 20, int(p.key)])


def imagenet(root, pictures):
    for p in pictures:
        part = "val" if p.test else "train"
        p.save(root / "imagenet" / part / p.key / f"{p.key}_{p.id}.JPEG")


def mnist(root, pictures):
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, test in (("train", False), ("t10k", True)):
        chosen = in_subset(pictures, test)
        images = np.array([p.array()[..., 0] for p in chosen])
        header = np.array([2051, *images.shape], dtype=">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = bytes(int(p.key) for p in chosen)
        header = np.array([2049, len(chosen)], dtype=">i4").tobytes()
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels)


def pcam(root, pictures):
    import h5py

    folder = root / "pcam"
    folder.mkdir()
    for part in ("train", "val", "test"):
        chosen = in_part(pictures, part)
        stem = f"camelyonpatch_level_2_split_{part.replace('val', 'valid')}"
        with h5py.File(folder / f"{stem}_x.h5", "w") as file:
            file["x"] = np.array([p.array() for p in chosen])
        with h5py.File(folder / f"{stem}_y.h5", "w") as file:
            file["y"] = np.array([int(p.key) for p in chosen], np.uint8).reshape(-1, 1, 1, 1)


def pets(root, pictures):
    folder = root / "oxford-iiit-pet"
    numbers = {"Abyssinian": 1, "american_bulldog": 2, "yorkshire_terrier": 37}
    for part, test in (("trainval", False), ("test", True)):
        rows = [f"{p.key}_{p.id} {numbers[p.key]} 1 1" for p in in_subset(pictures, test)]
        write(folder / "annotations" / f"{part}.txt", lines(rows))
    for p in pictures:
        p.save(folder / "images" / f"{p.key}_{p.id}.jpg")


def rendered_sst2(root, pictures):
    for p in pictures:
        part = p.part.replace("val", "valid")
        p.save(root / "rendered-sst2" / part / p.key / f"{p.id}.png")


def resisc45(root, pictures):
    for p in pictures:
        p.save(root / "NWPU-RESISC45" / p.key / f"{p.key}_{p.j + 1:03d}.jpg")


def stl10(root, pictures, names):
    folder = root / "stl10_binary"
    folder.mkdir()
    write(folder / "class_names.txt", lines(names))
    for part, test in (("train", False), ("test", True)):
        chosen = in_subset(pictures, test)
        # Channel, column, row.
        pixels = np.array([p.array().transpose(2, 1, 0) for p in chosen])
        (folder / f"{part}_X.bin").write_bytes(pixels.tobytes())
        labels = bytes(names.index(p.key) + 1 for p in chosen)
        (folder / f"{part}_y.bin").write_bytes(labels)
    (folder / "unlabeled_X.bin").write_bytes(b"")


def sun397(root, pictures):
    folder = root / "SUN397"
    keys = sorted({p.key for p in pictures}, reverse=True)
    write(folder / "ClassName.txt", lines(f"/{key[0]}/{key}" for key in keys))
    for p in pictures:
        p.save(folder / p.key[0] / p.key / f"sun_{p.id}.jpg")


def without_checksums(monkeypatch):
    from torchvision import datasets

    for cls in (datasets.CIFAR10, datasets.CIFAR100):
        monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": None})
    for cls in (datasets.CIFAR10, datasets.CIFAR100, datasets.STL10):
        for table in ("train_list", "test_list"):
            files = [[name, None] for name, _ in getattr(cls, table)]
            monkeypatch.setattr(cls, table, files)
    files = {key: (name, None) for key, (name, _) in datasets.Flowers102._file_dict.items()}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", files)


def pictures_of(name):
    numbers = [(j, False) for j in range(10)]
    if name not in NO_SPLIT:
        numbers = [(j, test) for test in (False, True) for j in range(2)]
    return [
        Picture(name, key, c, j, test) for c, key in enumerate(NAMES[name]) for j, test in numbers
    ]


def as_folders(name, root):
    """Write a small copy of a set as pictures in folders of classes; return the pictures."""
    pictures = pictures_of(name)
    for p in pictures:
        p.save(root / name / ("test" if p.test else "train") / p.key / f"{p.id}.png")
    return pictures


def make_set(name, root):
    """Write a small copy of a set; return its pictures."""
    pictures = pictures_of(name)
    make = globals()[name]
    if "names" in inspect.signature(make).parameters:
        make(root, pictures, own_names(name))
    else:
        make(root, pictures)
    return pictures


def own_names(name):
    if name != "cub200":
        return list(read_classes(name))
    names = [f"{i:03d}.Some_bird_{i}" for i in range(1, 201)]
    names[0], names[-1] = NAMES[name]
    return names


def find(pictures, images):
    """The picture of each image, told by its colour."""
    colours = np.array([picture.colour for picture in pictures])
    found = []
    for image in as_image_list(images):
        pixels = np.asarray(load_image(image)).astype(float)
        third = len(pixels) // 3
        assert pixels[1, third].max() < 20 < pixels[third, 1].min()
        mean = pixels[-6:, -6:].mean(axis=(0, 1))
        distance = np.abs(colours - mean).max(axis=1)
        assert distance.min() < 5
        found.append(pictures[distance.argmin()])
    return found
