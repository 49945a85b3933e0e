"""The parameter ``head`` of an ensemble: names, classifiers, and lists of them."""

from sklearn.base import is_outlier_detector, is_regressor

from .._utils._sklearn import is_of_kind, will_have
from ..heads import (
    CLAPHead,
    CLIPAdapterHead,
    CrossModalHead,
    ForestHead,
    GDAHead,
    KernelHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    LogisticDiscriminantHead,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)

LINEAR_ALL, LOGISTIC_ALL = "linear-all", "logistic-all"
KERNEL, KERNEL_ALL = "kernel", "kernel-all"
HEADS = {
    "zero-shot": ZeroShotHead(),
    "residual": ResidualHead(),
    "tip-adapter": TipAdapterHead(),
    "gda": GDAHead(),
    "clap": CLAPHead(),
    "cross-modal": CrossModalHead(),
    "clip-adapter": CLIPAdapterHead(),
    "linear": LinearDiscriminantHead(),
    "linear-probe": LinearProbeHead(),
    "logistic": LogisticDiscriminantHead(),
    "forest": ForestHead(),
    LINEAR_ALL: LinearDiscriminantHead(),
    LOGISTIC_ALL: LogisticDiscriminantHead(),
    KERNEL: KernelHead(),
    KERNEL_ALL: KernelHead(betas=(1.0, 2.0, 4.0, 8.0), alphas=(0.03, 0.1, 0.3, 1.0, 3.0)),
}


def head_of(kind):
    """Return the head that a name stands for. ``"auto"`` and classifiers are returned as given."""
    return HEADS.get(kind, kind) if isinstance(kind, str) else kind


def named_heads(head):
    """Return the parameter ``head`` as (name, head, columns or None) triples."""
    heads = list(head) if isinstance(head, (list, tuple)) else [head]
    if not heads:
        raise ValueError("head is an empty list; name at least one, for instance 'linear'.")
    triples = [_triple(one) for one in heads]
    names = _numbered([_label(kind) for name, kind, _ in triples if name is None])
    return [
        (next(names) if name is None else name, _checked(kind), columns)
        for name, kind, columns in triples
    ]


def _triple(one):
    """Return one item of a list of heads as (name or None, head, columns or None)."""
    triple = one if isinstance(one, tuple) else (None, one)
    triple = (*triple, None) if len(triple) == 2 else triple
    if len(triple) != 3 or not isinstance(triple[0], (str, type(None))):
        raise ValueError(
            "Of a list of heads, each is one of the heads, a (name, head) pair, or a "
            f"(name, head, columns) triple; {triple!r} is none of these."
        )
    if triple[0] is not None and "__" in triple[0]:
        raise ValueError(f"The name of a head must not contain '__'; got {triple[0]!r}.")
    if isinstance(triple[1], str) and triple[1] == "auto" and triple[2] is not None:
        raise ValueError(
            f"The head {triple[0]!r} is 'auto', which chooses heads for all blocks, and not for "
            "some columns. Leave the columns out, or name a head for them, such as 'kernel'."
        )
    return triple


def _label(kind):
    return kind if isinstance(kind, str) else type(kind).__name__.lower()


def _numbered(labels):
    """Yield labels; those that occur several times get a number as suffix."""
    for i, label in enumerate(labels):
        yield f"{label}-{labels[: i + 1].count(label)}" if labels.count(label) > 1 else label


def _checked(kind):
    if isinstance(kind, str) and kind in {"auto", *HEADS}:
        return kind
    if isinstance(kind, (str, type)) or not hasattr(kind, "fit"):
        raise ValueError(
            f"head={kind!r} is unknown; it is {', '.join(map(repr, ['auto', *HEADS]))}, a "
            "classifier (an instance, not a class), or a list of these."
        )
    if is_of_kind(kind, is_outlier_detector):
        raise ValueError(f"head={kind!r} finds outliers, and not classes. Give a classifier.")
    if is_of_kind(kind, is_regressor):
        raise ValueError(f"head={kind!r} predicts amounts, and not classes. Give a classifier.")
    refuse_without_scores(kind)
    return kind


def refuse_without_scores(head, has=will_have):
    """Raise ValueError if a head has no scores of classes; `has` is ``hasattr`` after the fit."""
    if not any(has(head, name) for name in ("decision_function", "predict_proba")):
        raise ValueError(
            f"head={head!r} has neither decision_function nor predict_proba, so it cannot say how "
            "likely each class is. Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )
