"""Repositories of the Hugging Face hub, as the cache of this machine has them."""

from pathlib import Path

from ._available import check_hub
from ._errors import BackboneNotAvailableError

CONFIG = "open_clip_config.json"
_ADVICE = (
    f"A repository of an open_clip model, which holds {CONFIG}, is fetched once from the internet."
)


def snapshot(repository):
    """The folder of a repository's files; its configuration is fetched if it is not there.

    What is there is taken as it is, without asking the hub for something newer, so that the
    weights are those of the same commit.

    Parameters
    ----------
    repository : str
        ``"ORG/NAME"``.

    Returns
    -------
    Path
        Of the cache; its name is that of the commit.

    Raises
    ------
    BackboneNotAvailableError
        If the configuration is not on this machine and cannot be fetched.
    """
    import huggingface_hub

    file = huggingface_hub.try_to_load_from_cache(repository, CONFIG)
    try:
        if not isinstance(file, str):
            check_hub(f"hf-hub:{repository}", _ADVICE)
            file = huggingface_hub.hf_hub_download(repository, CONFIG)
    except BackboneNotAvailableError:
        raise
    except Exception as error:
        raise BackboneNotAvailableError(
            f"'hf-hub:{repository}' cannot be loaded: {error} {_ADVICE}"
        ) from error
    return Path(file).parent


def fetch_weights(repository):
    """Put the weights of a repository into its folder, if they are not there.

    Parameters
    ----------
    repository : str

    Raises
    ------
    FileNotFoundError
        If they cannot be fetched.
    """
    from open_clip.pretrained import download_pretrained_from_hf

    download_pretrained_from_hf(repository, revision=snapshot(repository).name)
