"""The bar that long runs show."""


def progress(total, verbose, *, desc="embedding", unit="image", initial=0, delay=0):
    """A bar that tells how much is done and how fast, or nothing; not before `delay` seconds."""
    from tqdm.auto import tqdm

    options = {"desc": desc, "unit": unit, "delay": delay, "disable": not verbose}
    return tqdm(total=total, initial=initial, **options)
