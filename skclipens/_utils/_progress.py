"""The bar that long runs show."""


def progress(total, verbose, initial=0):
    """A bar that tells images per second, or nothing."""
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=initial, desc="embedding", unit="image", disable=not verbose)
