"""The 21 image classification sets on which CLIP ensembles are compared."""

import re
from pathlib import Path

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from .._utils._extras import how_to_install
from .._utils._messages import listed
from ..exceptions import DatasetNotAvailableError
from ._benchmark_files import has_files, read_files
from ._benchmark_hub import has_hub_copy, letters_of, read_hub
from ._benchmark_specs import SPECS, STRATIFIED, read_classes, read_templates

_SUBSETS = ("train", "test", "all")
_SOURCES = {"torchvision": has_files, "hub": has_hub_copy}
# Some copies of Caltech-101 keep its background class; torchvision drops it.
_IGNORED = {"caltech101": ("backgroundgoogle", "background")}


def list_benchmarks(data_home=None):
    """List the benchmark sets that :func:`fetch_benchmark` knows.

    Parameters
    ----------
    data_home : str or path-like, default=None
        As in :func:`fetch_benchmark`. Only column "on_disk" depends on it.

    Returns
    -------
    benchmarks : DataFrame of shape (21, 8)
        One row for each set, indexed by its name for :func:`fetch_benchmark`, with the columns
        "title", "classes" (how many), "torchvision" (class of :mod:`torchvision.datasets`, or ""),
        "hub" (identifier on the Hugging Face hub), "best_single" (zero-shot accuracy, in percent,
        of the best of OpenAI's backbones in the results table of open_clip [1]_; NaN if it has
        none), "licence", "note" and "on_disk" (whether the files or a copy from the hub are there;
        their content is not checked).

    See Also
    --------
    fetch_benchmark : Load one of them.

    References
    ----------
    .. [1] https://github.com/mlfoundations/open_clip/blob/main/docs/openclip_results.csv

    Examples
    --------
    >>> from skclipens.datasets import list_benchmarks
    >>> benchmarks = list_benchmarks()
    >>> len(benchmarks)
    21
    >>> benchmarks.loc["eurosat", ["torchvision", "hub"]].tolist()
    ['EuroSAT', 'timm/eurosat-rgb']
    >>> benchmarks.sort_values("best_single").index[:3].tolist()
    ['clevr_counts', 'aircraft', 'country211']
    """
    import pandas as pd

    root = _root(data_home)
    rows = [
        {
            "name": spec.name,
            "title": spec.title,
            "classes": spec.n_classes,
            "torchvision": spec.torchvision,
            "hub": spec.hub,
            "best_single": np.nan if spec.best_single is None else spec.best_single,
            "licence": spec.licence,
            "note": spec.note,
            "on_disk": has_files(spec, root) or has_hub_copy(spec, root),
        }
        for spec in SPECS.values()
    ]
    return pd.DataFrame(rows).set_index("name")


def fetch_benchmark(
    name,
    *,
    subset="train",
    source="auto",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
):
    """Load a benchmark set (image classification), downloading it if necessary and possible.

    Images are file paths or objects that are decoded when they are used; only the small images of
    CIFAR, MNIST and STL-10 are arrays in memory. Class names and prompt templates are those that
    OpenAI published for CLIP [1]_. Classes are matched by name, not by position, so `target` means
    the same for every source.

    Official splits are used if there are any, with the official validation images in "train" as in
    [1]_. Sets without an official split (EuroSAT, Caltech-101, RESISC45; SUN397 unless the lists of
    its partition 1 are beside its images) are split here, 70 to 30, stratified, with
    ``random_state=0``. These are not the splits of CoOp and of the papers that follow it, so
    accuracies can only roughly be compared with theirs. Copies on the hub keep their own splits.

    Parameters
    ----------
    name : str
        One of the names that :func:`list_benchmarks` lists, such as "eurosat".
    subset : {"train", "test", "all"}, default="train"
        "all" is "train" and "test" together.
    source : {"auto", "torchvision", "hub"}, default="auto"
        Where images come from.

        - "torchvision": the files of the publisher, in the layout that torchvision expects. For
          CUB-200 and RESISC45, which torchvision does not have: the files as they are unpacked. For
          CIFAR, MNIST and STL-10, if these files are not there: pictures in the folders
          ``NAME/train/CLASS`` and ``NAME/test/CLASS``.
        - "hub": a copy on the Hugging Face hub, read with the library ``datasets``.
        - "auto": the files or the copy on the disk; otherwise the files are downloaded; if this is
          not possible, the copy.
    data_home : str or path-like, default=None
        The folder of all sets: what torchvision calls `root`, so an existing one can be given.
        By default ``skclipens/benchmarks`` in :func:`sklearn.datasets.get_data_home`. Clones of
        hub repositories are looked for in it under their identifier, such as
        ``data_home/timm/eurosat-rgb``.
    download_if_missing : bool, default=True
        If False, raise a `DatasetNotAvailableError` instead of downloading a set that is not on the
        disk. Some sets have tens of gigabytes. For a set that was downloaded from the hub before,
        the hub is asked for a newer version, unless ``HF_HUB_OFFLINE=1`` is set.
    return_X_y : bool, default=False
        If True, return ``(images, labels)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        images : ndarray of shape (n_samples,) or (n_samples, height, width[, 3])
            File paths (str); from the hub and for PatchCamelyon, objects that are decoded when
            used; for CIFAR, STL-10 and MNIST (without the last dimension), pixels of dtype uint8.
            The estimators of this package take all of these as X.
        target : ndarray of shape (n_samples,), dtype int64
            Indices into `target_names`.
        target_names : ndarray of shape (n_classes,), dtype str
            Names of all classes, also of those without an image, as they go into a prompt.
        templates : list of str
            Prompts with one ``{}`` for the name of a class.
        split : str
            Where the subset comes from: "official split", the splits of a copy on the hub, or
            the split made here.
        source : {"torchvision", "hub"}
            Where the images come from.
        DESCR : str
            A description of the set, with its origin and its licence.

    (images, labels) : tuple if `return_X_y` is True
        The inputs, and the names of the classes, ``target_names[target]``.

    Raises
    ------
    DatasetNotAvailableError
        If the set is not on the disk, and `download_if_missing` is False or the download fails. It
        is an OSError. The message says where to get the files, and which folder to put them in.
    ImportError
        If the source needs a library that is not installed: ``datasets`` for the hub, ``h5py``
        for the files of PatchCamelyon.
    ValueError
        If there is no such set, subset or source, or if the images have classes that the set
        does not have.

    See Also
    --------
    list_benchmarks : The sets, with notes on each.
    load_emoji : A small set that needs no download.

    References
    ----------
    .. [1] Radford et al., "Learning Transferable Visual Models From Natural Language
       Supervision", ICML 2021, table 9; https://github.com/openai/CLIP, data/prompts.md.

    Examples
    --------
    >>> from skclipens.datasets import fetch_benchmark
    >>> fetch_benchmark("imagenet", data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    skclipens.exceptions.DatasetNotAvailableError: ImageNet-1k is not available...
    >>> eurosat = fetch_benchmark("eurosat", subset="test")  # doctest: +SKIP
    >>> eurosat.target_names[:2].tolist()  # doctest: +SKIP
    ['annual crop land', 'forest']
    """
    if name not in SPECS:
        raise ValueError(f"There is no benchmark {name!r}; the names are {list(SPECS)}.")
    _check_option("subset", subset, _SUBSETS)
    _check_option("source", source, ("auto", *_SOURCES))
    spec = SPECS[name]
    root = _root(data_home)

    loaded, found_in = _load(spec, root, subset, source, download_if_missing)
    classes = read_classes(name) or {key: _bird_name(key) for key in loaded.class_keys}
    images, target = _drop_ignored(loaded.images, _to_index(spec, loaded.keys, classes))
    split = loaded.official
    if not split:
        images, target = _stratified(images, target, subset)
        split = STRATIFIED
    target_names = np.array(list(classes.values()))
    if return_X_y:
        return images, target_names[target]
    return Bunch(
        images=images,
        target=target,
        target_names=target_names,
        templates=read_templates(name),
        split=split,
        source=found_in,
        DESCR=_describe(spec, split, found_in),
    )


def _check_option(name, value, options):
    if value not in options:
        raise ValueError(f"{name} must be one of {list(options)}, got {value!r}.")


def _root(data_home):
    if data_home is None:
        return Path(get_data_home(), "skclipens", "benchmarks")
    return Path(data_home).expanduser()


def _load(spec, root, subset, source, download):
    """Read a set from the first source that has it: the disk before the network."""
    sources = list(_SOURCES) if source == "auto" else [source]
    reasons = []
    for kind in sources:
        if _SOURCES[kind](spec, root):
            try:
                return _read(kind, spec, root, subset, download=False), kind
            except DatasetNotAvailableError as error:
                reasons.append(f"{kind}, on disk: {error}")
    for kind in sources if download else []:
        try:
            return _read(kind, spec, root, subset, download=True), kind
        except DatasetNotAvailableError as error:
            reasons.append(f"{kind}, download: {error}")
        except ImportError as error:
            if source != "auto":
                raise
            reasons.append(f"{kind}, download: {error}")
    if not download:
        reasons.append("download_if_missing=False")
    raise DatasetNotAvailableError(_advice(spec, root, reasons))


def _read(kind, spec, root, subset, download):
    if kind == "hub":
        return read_hub(spec, root, subset)
    return read_files(spec, root, subset, download=download)


def _advice(spec, root, reasons):
    layout = f" in the layout of torchvision.datasets.{spec.torchvision}" * bool(spec.torchvision)
    lines = [
        f"{spec.title} is not available in {str(root)!r}. Tried:",
        *(f"- {reason}" for reason in reasons),
        "Either get the files of the publisher:",
        f"- from {spec.origin}",
        f"- into {str(Path(root, spec.folder))!r},{layout or ' as they are unpacked'}.",
        f"Or get a copy on the Hugging Face hub, which needs {how_to_install('datasets')}:",
        f"- hf download --repo-type dataset {spec.hub} --local-dir {str(Path(root, spec.hub))!r}",
    ]
    return "\n".join(lines)


def _to_index(spec, keys, classes):
    """Return the position of each key in `classes`; -1 for a key that is ignored."""
    if isinstance(keys, np.ndarray):  # positions already
        if len(keys) and not 0 <= keys.min() <= keys.max() < len(classes):
            raise ValueError(
                f"{spec.title} has classes 0 to {len(classes) - 1}, got labels from "
                f"{keys.min()} to {keys.max()}."
            )
        return keys.astype(np.int64)
    index = dict.fromkeys(_IGNORED.get(spec.name, ()), -1)
    for i, names in enumerate(classes.items()):
        index.update((_letters(name), i) for name in names)
    found, inverse = np.unique(keys, return_inverse=True)
    unknown = [str(key) for key in found if _letters(key) not in index]
    if unknown:
        raise ValueError(
            f"{spec.title} has no class {listed(unknown)}; its classes are "
            f"{listed(classes)}. Check that the folder or the copy is of this set."
        )
    return np.array([index[_letters(key)] for key in found], dtype=np.int64)[inverse]


def _letters(key):
    """Return one spelling for all of a class, such as "Yin_Yang", "yin yang", "/y/yin_yang"."""
    return letters_of(re.sub("^/[a-z]/", "", key.lower()))


def _bird_name(key):
    """Return the name for prompts of a folder such as "001.Black_footed_Albatross"."""
    return key.split(".")[-1].replace("_", " ")


def _drop_ignored(images, target):
    keep = target >= 0
    return (images, target) if keep.all() else (images[keep], target[keep])


def _stratified(images, target, subset):
    """Return a subset of the images of a set without an official split."""
    rows = np.arange(len(target))
    if images.dtype.kind == "U":  # paths, since the order in which folders are listed is not fixed
        rows = np.argsort(images, kind="stable")
    if subset != "all":
        train, test = train_test_split(
            np.arange(len(rows)), test_size=0.3, stratify=target[rows], random_state=0
        )
        rows = rows[np.sort(train if subset == "train" else test)]
    return images[rows], target[rows]


def _describe(spec, split, source):
    lines = [
        f"{spec.title}",
        "-" * len(spec.title),
        "",
        f":Number of classes: {spec.n_classes}",
        f":Split: {split}",
        f":Source: {spec.hub if source == 'hub' else spec.origin}",
        f":Licence: {spec.licence}",
    ]
    if spec.note:
        lines.append(f":Note: {spec.note}")
    lines += [
        "",
        "The images are not part of skclipens; check their licence with their authors before use.",
        "Names of classes and templates: OpenAI CLIP and CLIP benchmark, MIT licence; the notices "
        "are in skclipens/datasets/data/benchmarks/LICENSE.txt.",
    ]
    return "\n".join(lines)
