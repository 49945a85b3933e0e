"""The bar that long runs show."""


def progress(total, verbose, *, desc="embedding", unit="image", initial=0):
    """A bar that tells how much is done and how fast, or nothing."""
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=initial, desc=desc, unit=unit, disable=not verbose)
