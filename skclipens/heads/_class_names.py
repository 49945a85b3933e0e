"""Check names of classes for prompts."""

import reprlib
from numbers import Real

import numpy as np

from .._utils._class_texts import look_alike
from .._utils._column_names import names_of_columns
from .._utils._labels import refuse_mixed
from .._utils._messages import as_python
from .._utils._missing import is_missing
from .._utils._one_column import refuse_no_column
from .._utils._warnings import warn

NUMBERED = "Some meta-estimators, such as StackingClassifier, number the labels"
_MAX_LENGTH = 10_000  # characters of a name


def names_of_classes(classes, class_names):
    """Return the name of each class for prompts.

    Parameters
    ----------
    classes : ndarray of shape (C,)
        Sorted labels.
    class_names : None, mapping or sequence of str
        A mapping from labels to names, or a sequence. Integer labels index the sequence; string
        labels must be among its names; booleans need a mapping. None: string labels are their own
        names.

    Returns
    -------
    tuple of C str
        A name for each class.

    Raises
    ------
    ValueError
        If a class has no name, its name is blank, too long or not a string, or a sequence is given
        for booleans.

    Warns
    -----
    SuspectedMistakeWarning
        If two classes have the same name.

    See Also
    --------
    skclipens.ZeroShotHead : Writes the names into prompts.

    Examples
    --------
    >>> from skclipens.heads import names_of_classes
    >>> names_of_classes([0, 2], class_names=["cat", "dog", "owl"])
    ('cat', 'owl')
    >>> names_of_classes(["cat", "owl"], class_names=["cat", "dog", "owl"])
    ('cat', 'owl')
    """
    labels = np.asarray(classes).tolist()
    if class_names is None:
        unnamed = [label for label in labels if not isinstance(label, str)]
        if unnamed:
            raise ValueError(
                f"Label {unnamed[0]!r} is not a string, so it cannot stand in a prompt. Give "
                "class_names: a list that the labels index, or a dict from label to name; or "
                f"use a head that needs no names, such as head='linear'. {NUMBERED}: "
                "class_names=sorted(set(y))."
            )
        return check_names(labels, labels)
    class_names = _by_label(class_names, labels)
    missing = [label for label in labels if label not in class_names]
    if missing:
        _refuse_other_signs(missing[0], class_names)
        raise ValueError(
            f"class_names has no name for label {missing[0]!r}; it names the labels "
            f"{reprlib.repr([as_python(label) for label in class_names])}."
            f"{_advice_on(missing[0], class_names)}"
        )
    return check_names([class_names[label] for label in labels], labels)


def _advice_on(label, named):
    """Return what to do about a label without a name; it may be empty."""
    if not isinstance(label, str) and str(label) in named:
        label = as_python(label)
        key = "key == 'True'" if isinstance(label, bool) else f"{type(label).__name__}(key)"
        keys = f"{{{key}: name for key, name in class_names.items()}}"
        give = keys if isinstance(label, Real) else "keys of their type"
        return f" Its keys are strings, and the labels are not: give {give}."
    if any(isinstance(name, (str, Real)) and name == label for name in named.values()):
        turned = "{label: name for name, label in class_names.items()}"
        return f" It goes from names to labels: give {turned}."
    if isinstance(label, str) and all(name is one for one, name in named.items()):
        return f" To rename a class, give a mapping, such as {{{label!r}: 'another name', ...}}."
    if not isinstance(label, str) and all(isinstance(one, str) for one in named):
        return f" {NUMBERED}: give a list of names, in the order of the sorted labels."
    return ""


def _refuse_other_signs(label, named):
    """Raise ValueError if a label looks like one of those that are named, but has other signs."""
    for other in named:
        if isinstance(label, str) and isinstance(other, str) and look_alike(label, other):
            raise ValueError(
                f"class_names has no name for label {label!a}, but for {other!a}, which looks "
                "alike. Write accents and signs of both in one way, as unicodedata.normalize does."
            )


def _by_label(class_names, labels):
    """Return the parameter ``class_names`` as a mapping from labels to names."""
    if isinstance(class_names, (set, frozenset)):
        raise ValueError(
            "class_names is a set, which has no order. Give a list that the labels index, or a "
            "dict from label to name."
        )
    if names_of_columns(class_names) is not None:
        raise ValueError(
            f"class_names is a {type(class_names).__name__}. Give a dict from label to name, such "
            "as dict(zip(frame['label'], frame['name']))."
        )
    if hasattr(class_names, "keys"):
        named = {}
        for label, name in class_names.items():  # a Series may have a label several times
            first = named.setdefault(label, name)
            if isinstance(name, str) and name != first:
                raise ValueError(
                    f"class_names calls class {label!r} both {first!r} and {name!r}. Choose one."
                )
        return named
    if hasattr(class_names, "to_pylist"):  # of pyarrow, whose elements are no strings
        class_names = class_names.to_pylist()
    if all(isinstance(label, str) for label in labels):
        # Some meta-estimators fit once on the labels, and once on their numbers.
        return {name: name for name in class_names if isinstance(name, str)}
    if any(isinstance(label, bool) for label in labels):
        raise ValueError(
            f"class_names is a {type(class_names).__name__}, but labels are booleans. Give a dict "
            "from label to name, such as {True: 'a bicycle', False: 'a street'}."
        )
    return dict(enumerate(class_names))


def check_names(names, labels):
    """Check names of classes, and return them as a tuple of str; `labels` are for messages.

    Raise ValueError if a name is blank, too long for a prompt, or not a string; warn if two names
    are equal, since their prompts are the same.
    """
    first = {}
    names, labels = [as_python(name) for name in names], [as_python(label) for label in labels]
    for name, label in zip(names, labels, strict=True):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"The name of class {label!r} is {name!r}. A prompt needs words: give it a name in "
                "class_names, as a string."
            )
        if any("\ud800" <= sign <= "\udfff" for sign in name):
            raise ValueError(
                f"The name of class {label!r} is no valid UTF-8, as of a folder that another "
                "system has named. Give it another name."
            )
        if len(name) > _MAX_LENGTH:
            raise ValueError(
                f"The name of class {reprlib.repr(label)} has {len(name):,} characters, more than "
                f"{_MAX_LENGTH:,}. Text towers read fewer than 100 words: give a shorter one."
            )
        if first.setdefault(name, label) != label:
            warn(
                f"Classes {first[name]!r} and {label!r} are both called {name!r}, so prompts "
                "cannot tell them apart. Give them class_names that differ.",
            )
    return tuple(map(str, names))


def sorted_classes(classes, class_names):
    """Return the sorted labels of classes that are given without rows.

    Raise ValueError if there are none, one is missing or an array, `classes` is a string or has no
    order, or `class_names` is None and one is no name.
    """
    refuse_no_column(classes, "classes", of="class")
    classes = list(classes)
    if not classes:
        raise ValueError("classes is empty. Give a label for each class, such as ['cat', 'dog'].")
    for place, label in enumerate(classes):
        if is_missing(label) or np.ndim(label):
            raise ValueError(
                f"Class {place} of classes is {label!r}. Give one label for each class: a string "
                "or a whole number."
            )
    refuse_mixed(classes, "classes")
    labels = np.unique(classes)
    if class_names is None and not isinstance(first := labels.tolist()[0], str):
        raise ValueError(
            f"Label {first!r} is not a string, so it cannot stand in a prompt. Pass class_names to "
            "set_classes: a list that the labels index, or a dict from label to name. The "
            "parameter class_names names the classes of fit, and is not used here."
        )
    return labels
