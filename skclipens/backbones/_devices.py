"""Choose the torch device and the precision on this machine."""

from contextlib import nullcontext

from .._utils._forks import mend_threads


def resolve_device(device):
    """Choose a torch device.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "cuda:I", "mps"}
        ``"auto"``: CUDA if available, otherwise Apple's MPS, otherwise the CPU.

    Returns
    -------
    str
        Name of the device in torch.

    Raises
    ------
    ValueError
        If the device does not exist on this machine.

    See Also
    --------
    load_backbone : Takes a device.

    Examples
    --------
    >>> from skclipens.backbones import resolve_device
    >>> resolve_device("cpu")
    'cpu'
    """
    import torch

    mend_threads()
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind, index = torch.device(device).type, torch.device(device).index
    except RuntimeError:
        kind, index = None, None
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(kind, False):
        here = [name for name, is_here in available.items() if is_here]
        raise ValueError(
            f"device={device!r} is not available on this machine; 'auto' and "
            f"{', '.join(map(repr, here))} are."
        )
    return str(torch.device(device))  # torch reads a number as the index of a GPU


def resolve_precision(precision, device):
    """Return the precision, "fp32", "bf16" or "fp16", that "auto" means on a device."""
    if precision != "auto":
        return precision
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return "fp16"
    # Other CPUs emulate bf16, which is slower than fp32. Older torch has no get_capabilities.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if kind == "cpu" and capabilities.get("avx512_bf16") else "fp32"


def without_autocast(device):
    """Return a context in which a caller's autocast does not lower the precision."""
    import torch

    kind = torch.device(device).type
    return torch.autocast(kind, enabled=False) if kind in ("cpu", "cuda") else nullcontext()


def cpu_by_default():
    """Return a context in which new tensors are on the CPU, whatever the default device is."""
    import torch

    # The context slows each operation down, so it is used only if needed.
    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
