"""What goes wrong with a backbone that is named rightly."""


class BackboneNotAvailableError(RuntimeError):
    """A pretrained backbone cannot be loaded, mostly since it is not on this machine.

    See Also
    --------
    load_backbone : Raises it.
    """
