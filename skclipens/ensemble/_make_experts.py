"""Make experts: assign heads to blocks, and set the parameters that users left None."""

from itertools import zip_longest
from operator import itemgetter

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._utils._linalg import side_by_side
from .._utils._messages import listed
from .._utils._positions import positions
from ..backbones import Backbone
from ..backbones._blocks import Block, check_distinct, joined, of_each_backbone
from ..heads import KernelHead
from ..heads._text_head import BaseTextHead
from ._composition import HeadCompositionMixin
from ._experts import Expert, backbones_of
from ._heads import KERNEL, KERNEL_ALL, LINEAR_ALL, LOGISTIC_ALL, head_of, named_heads

_MOST_COLUMNS_OF_TREES = 200  # of a block; wider ones are rather embeddings, or texts


def make_experts(
    head, blocks, n_features, feature_names, *, named_classes, one_shot, many_rows, **defaults
):
    """Make experts from the parameter ``head``.

    Parameters
    ----------
    head : str, classifier or list
        See :class:`skclipens.AdaptiveBackboneEnsemble`.
    blocks : list of Block
    n_features : int
    feature_names : ndarray of str or None
        Names of the columns, if the table has them.
    named_classes : bool
        Whether ``"auto"`` may use heads that start from names.
    one_shot : bool
        Whether most classes have one row. Of the heads that learn, ``"auto"`` then only uses those
        that read all blocks, and forests, since no row can validate the others.
    many_rows : bool
        Whether ``"auto"`` has a logistic regression in place of the linear discriminant on all
        blocks.
    **defaults : dict
        Values for parameters of heads that are None: ``class_names``, ``templates``, ``cache``,
        ``random_state``.

    Returns
    -------
    list of Expert

    Raises
    ------
    ValueError
        If a head is unknown, or has no block.
    """
    groups = []  # label, kind, its blocks, and whether the label alone is the expert's name
    for label, kind, columns in named_heads(head):
        if columns is not None:
            block = _block_for_columns(label, columns, blocks, n_features, feature_names)
            _refuse_no_backbone(label, kind, block, blocks)
            groups.append((label, kind, [block], True))
        elif kind == "auto":
            is_named = feature_names is not None
            kinds = _blocks_of_auto(blocks, named_classes, one_shot, many_rows, is_named)
            groups += [(one, one, of_kind, False) for one, of_kind in kinds if of_kind]
        else:
            groups.append((label, kind, _some_blocks_for(kind, blocks), False))
    experts, made = [], set()
    for label, kind, of_kind, is_name in groups:
        for block in of_kind:
            name = block.name if len(groups) == 1 else f"{block.name}:{label}"
            if label == kind and not is_name:  # "auto" may have it already
                if (name, kind) in made:
                    continue
                made.add((name, kind))
            filled = _with_defaults(head_of(kind), block, named_classes, defaults)
            experts.append(Expert(label if is_name else name, filled, block))
    check_distinct("experts", [expert.name for expert in experts])
    for expert in experts:
        _check_names(expert, feature_names)
    return experts


def _block_for_columns(name, columns, blocks, n_features, feature_names):
    """Return the block that `columns` names, or make one of these columns.

    Whole blocks among the columns are its parts, by which heads find backbones.
    """
    for block in blocks:
        if isinstance(columns, str) and columns == block.name:
            return block
    columns = positions(columns, n_features, feature_names, f"Expert {name!r}")
    parts = _split_at_blocks(name, columns, blocks)
    if not parts:
        return Block(name, columns, None)
    return parts[0] if len(parts) == 1 else joined(parts)._replace(name=name)


def _refuse_no_backbone(name, kind, block, blocks):
    """Raise ValueError if a head that starts from prompts gets no whole block of a backbone."""
    head = head_of(kind)
    if block.has_text or not isinstance(head, BaseTextHead) or head.backbone is not None:
        return
    known = [one.name for one in blocks if one.has_text]
    hint = "Name the blocks after their backbones, for instance blocks='zoo'."
    if known:
        hint = f"Give the name of a block as its columns: {listed(known)}."
    raise ValueError(
        f"The head of {name!r} starts from prompts, and its columns are no whole block, in its "
        f"order, of embeddings that can be compared with texts. {hint}"
    )


def _split_at_blocks(name, columns, blocks):
    """Split columns into whole blocks and the columns between them; empty without a block."""
    places = {column: place for place, column in enumerate(columns.tolist())}
    starts = [(places.get(block.columns[0]), block) for block in blocks]
    parts, end = [], 0
    for start, block in sorted((one for one in starts if one[0] is not None), key=itemgetter(0)):
        of_block = columns[start : start + len(block.columns)]
        if start >= end and np.array_equal(of_block, block.columns):
            parts += [_between(name, columns[end:start]), block]
            end = start + len(block.columns)
    if not parts:
        return []
    return [one for one in (*parts, _between(name, columns[end:])) if len(one.columns)]


def _between(name, columns):
    first = columns[0] if len(columns) else ""
    return Block(f"{name}, from column {first}", columns, None)


def _blocks_of_auto(blocks, named_classes, one_shot, many_rows, is_named):
    """Return the kinds of heads of ``"auto"`` with their blocks, which may be none."""
    named = [block for block in blocks if named_classes and block.has_text]
    blocks = _without_intermediate(blocks) if one_shot else blocks
    embedded = [block for block in blocks if block.backbone is not None]
    others, to_join = [block for block in blocks if block.backbone is None], blocks
    linear, linear_all = "linear", LOGISTIC_ALL if many_rows else LINEAR_ALL
    if len(blocks) == 1:  # one linear head is enough: the block has all columns
        others, to_join = blocks, []
        linear = "logistic" if many_rows else linear
    kernels, forests = (KERNEL, _blocks_of_kernels(embedded)), []
    if embedded or is_named:  # otherwise the columns may be embeddings
        forests = [one for one in blocks if one.backbone is None and _is_narrow(one)]
    if one_shot:  # no row can validate heads on single backbones or blocks
        kernels = KERNEL_ALL, [joined(embedded)] if embedded else []
        others = [] if to_join else others
        # Nor can one show how much numbers should count in a linear head beside embeddings.
        forests = forests if embedded else []
        to_join = [one for one in to_join if one not in forests]
    all_columns = [joined(to_join)] if to_join else []
    of_others = (linear, others), ("forest", forests)
    return [("zero-shot", named), kernels, *of_others, (linear_all, all_columns)]


def _is_narrow(block):
    return len(block.columns) <= _MOST_COLUMNS_OF_TREES


def _without_intermediate(blocks):
    """Return the blocks without intermediate features, or all if no others are of backbones."""
    if {block.features for block in blocks if block.backbone} <= {"intermediate"}:
        return blocks
    return [block for block in blocks if block.features != "intermediate"]


def _blocks_of_kernels(embedded):
    """Return a block of each backbone, and one of the intermediate features of all of them."""
    others = _without_intermediate(embedded)
    names, found = {block.name for block in others}, of_each_backbone(others)
    intermediate = [block for block in embedded if block.name not in names]
    return [*found, joined(intermediate, "intermediate")] if intermediate else found


def _blocks_for(kind, blocks):
    """Return the blocks that get a head of this kind; empty if there are none that fit it."""
    if kind in (LINEAR_ALL, LOGISTIC_ALL):
        return [joined(blocks)]
    embedded = [block for block in blocks if block.backbone is not None] or blocks
    if kind == KERNEL_ALL:
        return [joined(embedded)]
    if kind == KERNEL or (isinstance(kind, KernelHead) and kind.blocks is None):
        return _blocks_of_kernels(embedded)
    if not backbones_of(head_of(kind)):
        return blocks
    names = names_asked(kind)
    return [one for one in blocks if one.has_text and (not names or one.backbone in names)]


def names_asked(kind):
    """Return the names of the backbones that a head is made for; empty if it is for any."""
    return {Backbone(one).name for one in backbones_of(head_of(kind)) - {None}}


def _some_blocks_for(kind, blocks):
    found = _blocks_for(kind, blocks)
    if not found:
        raise ValueError(
            f"head={kind!r} needs blocks that are embeddings of "
            f"{', '.join(sorted(names_asked(kind))) or 'backbones'}; got "
            f"{', '.join(block.name for block in blocks)}. Name the blocks after their backbones, "
            "for instance blocks='zoo', or use head='linear'."
        )
    return found


def head_without_block(head, blocks):
    """Return the first head of the parameter ``head`` that fits none of the blocks, or None.

    Heads whose columns are given do not count.
    """
    kinds = [kind for _, kind, columns in named_heads(head) if columns is None]
    unfit = (kind for kind in kinds if kind != "auto" and not _blocks_for(kind, blocks))
    return next(unfit, None)


def _defaults_from_block(block, named_classes):
    """Return the values that parameters of a head get from its block."""
    columns = side_by_side([len(part.columns) for part in block.members])
    parts = [
        (part.backbone if named_classes and part.has_text else None, of_part)
        for part, of_part in zip(block.members, columns, strict=True)
    ]
    others = [
        of_part
        for part, of_part in zip(block.parts, columns, strict=False)  # a single block has no parts
        if part.backbone is None
    ]
    return {
        "backbone": block.backbone if block.features == "projected" else None,
        "blocks": parts,
        "rescale": others or None,
    }


def _with_defaults(head, block, named_classes, defaults):
    """Return a head whose parameters that were None are set by block and ensemble."""
    if not hasattr(head, "get_params"):
        return head
    params = head.get_params()
    # A nested ensemble has its own blocks and passes them to its heads.
    ensembles = [f"{key}__" for key, one in params.items() if isinstance(one, HeadCompositionMixin)]
    ensembles += [""] * isinstance(head, HeadCompositionMixin)
    left = {}
    for key, value in params.items():
        prefix, divider, name = key.rpartition("__")
        given = defaults
        if value is None and not key.startswith(tuple(ensembles)):
            own_names = params.get(f"{prefix}{divider}class_names")
            given = _defaults_from_block(block, named_classes or own_names is not None) | defaults
        if value is None and given.get(name) is not None:
            left[key] = given[name]
    return clone(head).set_params(**left) if left else head


def _check_names(expert, feature_names):
    """Raise ValueError if a head has another backbone or other columns than its block."""
    head = getattr(expert.head, "estimator", expert.head)  # the head inside a FrozenEstimator
    backbone = getattr(head, "backbone", None)
    own = expert.block.backbone
    if isinstance(backbone, str) and own is not None and Backbone(backbone).name != own:
        raise ValueError(
            f"The head of {expert.name!r} reads embeddings of {backbone!r}, but its block is of "
            f"{own!r}. Give it the block of its own backbone."
        )
    known = getattr(expert.head, "feature_names_in_", None)
    if known is None or feature_names is None or not isinstance(expert.head, FrozenEstimator):
        return
    names = feature_names[expert.block.columns].tolist()
    if names != known.tolist():
        first = next((a, b) for a, b in zip_longest(known.tolist(), names) if a != b)
        raise ValueError(
            f"The frozen head of {expert.name!r} was fitted on other columns than those of its "
            f"block: {first[0]!r} where the block has {first[1]!r}. Give it the columns that it "
            "was fitted on, in their order."
        )
