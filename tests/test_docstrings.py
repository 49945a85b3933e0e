"""What a reader of the reference finds: related objects, what is returned, checkable examples."""

import importlib
import inspect
import re

import pytest
from _public import MODULES
from numpydoc.validate import validate

from skclipens._utils._docstrings import fill_doc

PUBLIC = sorted(
    f"{module}.{name}"
    for module in MODULES[1:]
    for name in importlib.import_module(module).__all__
    if callable(getattr(importlib.import_module(module), name))
)


def missing(name, *codes):
    """Which of numpydoc's codes a docstring violates."""
    return {code for code, _ in validate(name)["errors"]} & set(codes)


def object_of(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", PUBLIC)
def test_related_objects_are_named_and_examples_show_more_than_true(name):
    assert not missing(name, "SA01", "SA04")
    text = inspect.getdoc(object_of(name))
    assert "%(" not in text  # a template that was not filled
    examples = text.partition("Examples\n---")[2]
    assert not re.search("^(True|False)$", examples, re.M)


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_returned_is_described(name):
    value = object_of(name)
    names = [name]
    if inspect.isclass(value):
        names += [
            f"{name}.{method}"
            for method, function in inspect.getmembers(value, inspect.isroutine)
            if not method.startswith("_")
            and getattr(function, "__module__", "").startswith("skclipens")
        ]
    assert not [one for one in names if missing(one, "RT03")]


def test_keys_stand_for_texts_with_keys_and_unknown_ones_are_errors():
    def documented(): ...

    documented.__doc__ = "%(prompts)s"
    assert "cache : None" in fill_doc(documented).__doc__
    documented.__doc__ = "%(no_such_key)s"
    with pytest.raises(KeyError, match="no_such_key"):
        fill_doc(documented)
