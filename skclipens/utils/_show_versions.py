"""What a report of a bug should say of the machine."""

import platform
from importlib.metadata import PackageNotFoundError, version

import joblib
from threadpoolctl import threadpool_info

PACKAGES = (
    *("skclipens", "scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"),
    *("torch", "torchvision", "open_clip_torch", "timm", "transformers"),
    *("huggingface-hub", "safetensors", "Pillow", "pillow-heif", "pandas", "polars"),
    *("pyarrow", "datasets", "h5py", "fsspec", "distributed", "matplotlib", "skops", "click"),
)


def show_versions():
    """Print versions of packages, devices and threads, for the report of a bug.

    Packages that are not installed are left out. No path and no name of a user is printed.

    See Also
    --------
    skclipens.list_backbones : The models that can be used, with their cost.

    Examples
    --------
    >>> import skclipens
    >>> skclipens.show_versions()  # doctest: +ELLIPSIS
    System
      Python: 3...
      machine: ...
      cores: ...
    Packages
      skclipens: ...
    """
    parts = {
        "System": _system(),
        "Packages": _packages(),
        "Devices": _devices(),
        "Threads": _threads(),
    }
    for title, lines in parts.items():
        print("\n  ".join([title, *lines]))


def _system():
    yield f"Python: {platform.python_version()}, {platform.python_implementation()}"
    yield f"machine: {platform.platform()}"
    yield f"cores: {joblib.cpu_count()}"


def _packages():
    for name in PACKAGES:
        try:
            yield f"{name}: {version(name)}"
        except PackageNotFoundError:
            continue


def _devices():
    """Yield the device and the precision that "auto" means, and the names of GPUs."""
    try:
        import torch

        from ..backbones._devices import resolve_device, resolve_precision
    except Exception as error:  # a broken installation is what is reported
        yield f"torch cannot be imported: {error}"
        return
    device = resolve_device("auto")
    yield f"auto: {device}, {resolve_precision('auto', device)}"
    for index in range(torch.cuda.device_count()):
        yield f"cuda:{index}: {torch.cuda.get_device_name(index)}, CUDA {torch.version.cuda}"


def _threads():
    for pool in threadpool_info():
        built = f", version {pool['version']}" if pool["version"] else ""
        yield f"{pool['internal_api']}: {pool['num_threads']}{built}"
