"""The registry of benchmark sets: names, sources, licences, classes and prompt templates."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data" / "benchmarks"
STRATIFIED = "stratified 70/30 split, random_state=0"


@dataclass(frozen=True)
class BenchmarkSpec:
    """One set of the registry.

    Parameters
    ----------
    name, title : str
        The name that the user gives, and the one that the literature uses.
    n_classes : int
    torchvision : str
        The class of :mod:`torchvision.datasets`, or "" if it has none.
    hub : str
        The identifier of a copy on the Hugging Face hub.
    best_single : float or None
        Zero-shot accuracy, in percent, of the best OpenAI backbone in open_clip's results.
    folder : str
        The folder of the files, relative to the folder of all sets.
    origin, licence, note : str
    train, test : tuple of dict
        For each part of a subset, the arguments of the torchvision class or the folder to read.
        An empty `test` means that there is no official split.
    downloads : bool
        Whether torchvision can download the files.
    """

    name: str
    title: str
    n_classes: int
    torchvision: str
    hub: str
    best_single: float | None
    folder: str
    origin: str
    licence: str
    note: str = ""
    train: tuple = ({"split": "train"},)
    test: tuple = ({"split": "test"},)
    downloads: bool = True


_WHOLE = {"train": ({},), "test": ()}
_TRAIN_FLAG = {"train": ({"train": True},), "test": ({"train": False},)}
_WITH_VAL = {"train": ({"split": "train"}, {"split": "val"})}
_NOT_STATED = "not stated by the authors"
_RESEARCH = "non-commercial research"

_SPECS = (
    BenchmarkSpec(
        "aircraft", "FGVC-Aircraft", 100, "FGVCAircraft", "mteb/FGVCAircraft", 33.5,
        "fgvc-aircraft-2013b", "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        _RESEARCH, "classes are the variants; train includes the official validation images",
        train=({"split": "trainval"},),
    ),
    BenchmarkSpec(
        "caltech101", "Caltech-101", 101, "Caltech101", "mteb/Caltech101", 92.5,
        "caltech101", "https://data.caltech.edu/records/mzrjq-6wc02", "CC BY 4.0",
        "no official split; the background class is left out; torchvision's links broke in 2025",
        **_WHOLE,
    ),
    BenchmarkSpec(
        "cars", "Stanford Cars", 196, "StanfordCars", "tanganke/stanford_cars", 79.3,
        "stanford_cars", "https://ai.stanford.edu/~jkrause/cars/car_dataset.html", _RESEARCH,
        "the origin is gone", downloads=False,
    ),
    BenchmarkSpec(
        "cifar10", "CIFAR-10", 10, "CIFAR10", "uoft-cs/cifar10", 95.6,
        "cifar-10-batches-py", "https://www.cs.toronto.edu/~kriz/cifar.html", _NOT_STATED,
        **_TRAIN_FLAG,
    ),
    BenchmarkSpec(
        "cifar100", "CIFAR-100", 100, "CIFAR100", "uoft-cs/cifar100", 75.8,
        "cifar-100-python", "https://www.cs.toronto.edu/~kriz/cifar.html", _NOT_STATED,
        "classes are the fine labels", **_TRAIN_FLAG,
    ),
    BenchmarkSpec(
        "clevr_counts", "CLEVR counts", 8, "CLEVRClassification",
        "clip-benchmark/wds_vtab-clevr_count_all", 24.4,
        "clevr/CLEVR_v1.0", "https://cs.stanford.edu/people/jcjohns/clevr/", "CC BY 4.0",
        "classes are 3 to 10 objects, as in VTAB; test is the official validation part, because "
        "the test part has no labels; large",
        test=({"split": "val"},),
    ),
    BenchmarkSpec(
        "country211", "Country211", 211, "Country211", "clip-benchmark/wds_country211", 34.4,
        "country211", "https://github.com/openai/CLIP/blob/main/data/country211.md",
        "Creative Commons, of each photograph's author (YFCC100M)",
        "train includes the official validation images; large",
        train=({"split": "train"}, {"split": "valid"}),
    ),
    BenchmarkSpec(
        "cub200", "CUB-200-2011", 200, "", "bentrevett/caltech-ucsd-birds-200-2011", None,
        "CUB_200_2011", "https://data.caltech.edu/records/65de6-vp158", _RESEARCH,
        "no published prompts: names from the folders, one template of ours",
        train=({"is_train": "1"},), test=({"is_train": "0"},), downloads=False,
    ),
    BenchmarkSpec(
        "dtd", "Describable Textures", 47, "DTD", "tanganke/dtd", 55.6,
        "dtd/dtd", "https://www.robots.ox.ac.uk/~vgg/data/dtd/", "research",
        "partition 1; train includes the official validation images", **_WITH_VAL,
    ),
    BenchmarkSpec(
        "eurosat", "EuroSAT", 10, "EuroSAT", "timm/eurosat-rgb", 62.6,
        "eurosat/2750", "https://github.com/phelber/EuroSAT", "MIT", "no official split", **_WHOLE,
    ),
    BenchmarkSpec(
        "flowers102", "Oxford Flowers 102", 102, "Flowers102", "nelorth/oxford-flowers", 79.2,
        "flowers-102", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/", _NOT_STATED,
        "train includes the official validation images; the copy on the hub has a split of its own",
        **_WITH_VAL,
    ),
    BenchmarkSpec(
        "food101", "Food-101", 101, "Food101", "ethz/food101", 93.9,
        "food-101", "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        "not stated; the photographs belong to their authors",
    ),
    BenchmarkSpec(
        "gtsrb", "German Traffic Signs", 43, "GTSRB", "clip-benchmark/wds_gtsrb", 52.4,
        "gtsrb", "https://benchmark.ini.rub.de/gtsrb_dataset.html", _NOT_STATED,
    ),
    BenchmarkSpec(
        "imagenet", "ImageNet-1k", 1000, "ImageNet", "clip-benchmark/wds_imagenet1k", 76.6,
        "imagenet", "https://image-net.org/download.php", f"{_RESEARCH}, by agreement",
        "by hand; test is the official validation part, because the test part has no labels; large",
        train=({"folder": "train"},), test=({"folder": "val"},), downloads=False,
    ),
    BenchmarkSpec(
        "mnist", "MNIST", 10, "MNIST", "ylecun/mnist", 85.8,
        "MNIST", "http://yann.lecun.com/exdb/mnist/", "CC BY-SA 3.0", **_TRAIN_FLAG,
    ),
    BenchmarkSpec(
        "pcam", "PatchCamelyon", 2, "PCAM", "clip-benchmark/wds_vtab-pcam", 63.9,
        "pcam", "https://github.com/basveeling/pcam", "CC0",
        "train includes the official validation images; needs h5py", **_WITH_VAL,
    ),
    BenchmarkSpec(
        "pets", "Oxford-IIIT Pets", 37, "OxfordIIITPet", "isaacchung/OxfordPets", 93.7,
        "oxford-iiit-pet", "https://www.robots.ox.ac.uk/~vgg/data/pets/", "CC BY-SA 4.0",
        train=({"split": "trainval"},),
    ),
    BenchmarkSpec(
        "rendered_sst2", "Rendered SST2", 2, "RenderedSST2", "clip-benchmark/wds_renderedsst2",
        71.1, "rendered-sst2",
        "https://github.com/openai/CLIP/blob/main/data/rendered-sst2.md", _NOT_STATED,
        "train includes the official validation images", **_WITH_VAL,
    ),
    BenchmarkSpec(
        "resisc45", "NWPU-RESISC45", 45, "", "timm/resisc45", 63.8,
        "NWPU-RESISC45", "https://doi.org/10.1109/JPROC.2017.2675998", _NOT_STATED,
        "no official split", downloads=False, **_WHOLE,
    ),
    BenchmarkSpec(
        "stl10", "STL-10", 10, "STL10", "tanganke/stl10", 99.4,
        "stl10_binary", "https://cs.stanford.edu/~acoates/stl10/",
        f"{_NOT_STATED}; the images are from ImageNet", "the unlabelled images are left out",
    ),
    BenchmarkSpec(
        "sun397", "SUN397", 397, "SUN397", "dpdl-benchmark/sun397", 68.7,
        "SUN397", "https://vision.princeton.edu/projects/2010/SUN/", _NOT_STATED,
        "official partition 1 (19,850 + 19,850) where Training_01.txt and Testing_01.txt are in "
        "the folder, else all images with a split of ours; large", **_WHOLE,
    ),
)  # fmt: skip

SPECS = {spec.name: spec for spec in _SPECS}


@cache
def _read_json(name):
    return json.loads((DATA / name).read_text("utf-8"))


def read_classes(name):
    """Return the classes of a set, as a dict from their names in the set to those in prompts.

    Its order numbers the classes. None for CUB-200, whose files contain the names.
    """
    if name == "imagenet":
        from open_clip import IMAGENET_CLASSNAMES
        from timm.data import ImageNetInfo

        return dict(zip(ImageNetInfo("imagenet-1k").label_names(), IMAGENET_CLASSNAMES))
    return _read_json("classes.json").get(name)


def read_templates(name):
    """Return the prompt templates of a set, a list of str with one ``{}`` each."""
    if name == "imagenet":
        from open_clip import OPENAI_IMAGENET_TEMPLATES

        return [template("{}") for template in OPENAI_IMAGENET_TEMPLATES]
    return list(_read_json("templates.json")[name])
