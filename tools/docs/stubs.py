"""Write type hints of the public API, from the types in its docstrings, into stub files.

    python -m tools.docs.stubs

Each public module gets a stub beside it. A type in words that are no Python type, such as
"classifier or list", becomes Any. The stub of a class derives from the same classes of scikit-learn
as the class. These have no hints. Pyright reads their source; mypy does so only if
``follow_untyped_imports`` is set for ``sklearn.*``, and otherwise accepts any attribute of an
estimator.
"""

import importlib
import inspect
import re
from functools import cached_property
from pathlib import Path
from textwrap import indent

from numpydoc.docscrape import ClassDoc, FunctionDoc

import skclipens

_WITHOUT_STUB = {"exceptions", "zoo"}  # type checkers understand these modules themselves
MODULES = (*sorted({*skclipens._SUBMODULES} - _WITHOUT_STUB), "utils.estimator_checks")
_HEADER = '''\
"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
'''
# Classes whose parameters a function passes on, or whose fitted attributes a class passes on, and
# whose docstrings describe them.
_PASSED_ON = {
    "make_backbone_pipeline": ("MultiBackboneEmbedder", "AdaptiveBackboneEnsemble"),
    "make_table_pipeline": ("MultiBackboneEmbedder", "AdaptiveBackboneEnsemble"),
    "BackbonePipeline": ("AdaptiveBackboneEnsemble",),
}
_WORDS = (  # the first pattern that a part of a type matches
    (r"None", "None"),
    (r"bool", "bool"),
    (r"int", "int"),
    (r"float", "float"),
    (r"str", "str"),
    (r"(list|sequence) of (\w+ )?str", "Sequence[str]"),
    (r"sequence of float", "Sequence[float]"),
    (r"mapping", "Mapping[Any, Any]"),
    (r"(os\.)?[Pp]ath-?[Ll]ike", "PathLike[str]"),
    (r"RandomState instance", "np.random.RandomState"),
    (r"[A-Z]\w+Display", "Self"),
    (r"BackbonePipeline", "BackbonePipeline"),
    (r"\"[^\"]*\"", "str"),
    (r"\{\"[^{}]*\"\}", "str"),
    (r"array-like.*", "ArrayLike"),
    (r"DataFrame.*|pandas.DataFrame.*", "pd.DataFrame"),
)
_RESULTS = (  # of what is returned and of attributes, the first pattern that the type matches
    (r"ndarray.*", "NDArray[Any]"),
    (r"list of (\w+ )?(str|int|float)", r"list[\2]"),
    (r"list of .*", "list[Any]"),
    (r"dict( of .*)?", "dict[Any, Any]"),
    (r"Path", "Path"),
)
_BY_CONTAINER = ("transform", "fit_transform")  # ``set_output`` chooses what these return


def hint(text):
    """Return the hint for a type in the words of numpydoc."""
    text = re.sub(r",? *(default ?[=:].*|optional)$", "", text.strip())
    if text.startswith("ndarray"):
        return "NDArray[Any]"
    parts = re.split(r" or |, (?![^{]*\}|[^(]*\))(?=[\w\"{])", text) if text else []
    hints = []
    for part in parts:
        part = part.strip(" ,")
        found = next((h for words, h in _WORDS if re.fullmatch(words, part)), "Any")
        hints.append(found)
    unique = sorted(dict.fromkeys(hints), key="None".__eq__)  # None last
    return "Any" if not hints or "Any" in hints else " | ".join(unique)


def hint_of_result(text):
    """Return the hint for the type of what is returned, or of an attribute."""
    words, none = re.subn(r" or None$", "", text.strip())
    for pattern, found in _RESULTS:
        if match := re.fullmatch(pattern, words):
            return match.expand(found) + " | None" * none
    return hint(text)


def _split(described):
    """Return the types of numpydoc's parameters by their names, of which one line may have two."""
    return {name: p.type for p in described for name in re.split(", ?", p.name)}


def _passed_on(name, section):
    docs = [ClassDoc(getattr(skclipens, one)) for one in _PASSED_ON.get(name, ())]
    return [p for doc in docs for p in doc[section]]


def parameters(function, doc):
    """Return the parameters of a function, each with its hint."""
    said = _split([*_passed_on(function.__name__, "Parameters"), *doc["Parameters"]])
    hints = []
    for p in inspect.signature(function).parameters.values():
        what = hint(said.get(p.name, ""))
        if p.default is None and "None" not in what.split(" | ") and what != "Any":
            what += " | None"
        hints.append((p, what))
    return hints


def signature(function, doc, own=""):
    """Return the parameters of a function with hints, in parentheses."""
    parts, star = [own] * bool(own), False
    for p, what in parameters(function, doc)[bool(own) :]:
        prefix = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
        star |= p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        parts.append(f"{prefix}{p.name}: {what}" + " = ..." * (p.default is not p.empty))
    return f"({', '.join(parts)})"


def _returned(name, doc):
    if len(doc["Returns"]) != 1 or name in _BY_CONTAINER:
        return "Any"
    returned = doc["Returns"][0]
    return "Self" if "self" in (returned.name, returned.type) else hint_of_result(returned.type)


def function(name, value, own=False):
    """Return the stub of a function, or of a method of its own class."""
    kind = value.__func__ if inspect.ismethod(value) else None
    doc = FunctionDoc(value)
    first = "cls" if kind else "self" if own else ""
    mark = "@classmethod\n" * bool(kind)
    return f"{mark}def {name}{signature(kind or value, doc, first)} -> {_returned(name, doc)}: ..."


def _is_ours(cls):
    return cls.__module__.startswith("skclipens")


def bases(cls):
    """Return the classes outside this package from which it derives a class."""
    named = {base for one in cls.__mro__ if _is_ours(one) for base in one.__bases__}
    found = {base for base in named if not _is_ours(base)} - {object}
    last = [one for one in found if not any(one in other.__mro__[1:] for other in found)]
    return sorted(last, key=cls.__mro__.index)


def attributes(cls):
    """Return the hints of public attributes: parameters, documented ones, and properties."""
    doc = ClassDoc(cls)
    documented = _split([*_passed_on(cls.__name__, "Attributes"), *doc["Attributes"]])
    properties = inspect.getmembers(cls, lambda one: isinstance(one, property | cached_property))
    return {
        **{name: "Any" for name, _ in properties if not name.startswith("_")},
        **{p.name: what for p, what in parameters(cls, doc)},
        **{name: hint_of_result(words) for name, words in documented.items()},
    }


def attribute(cls, name, what):
    """Return the stub of an attribute."""
    if isinstance(getattr(cls, name, None), property):
        return f"@property\ndef {name}(self) -> {what}: ..."
    return f"{name}: {what}"


def methods(cls):
    """Yield names and functions of public methods, also those inherited from this package.

    A private method that is abstract in scikit-learn is among them: without it, a type checker
    takes the class for abstract.
    """
    abstract = {name for base in bases(cls) for name in getattr(base, "__abstractmethods__", ())}
    for name, value in inspect.getmembers(cls, callable):
        home = next(base for base in cls.__mro__ if name in vars(base))
        private = name.startswith("_") and name not in {*abstract, "__getitem__"}
        if private or not _is_ours(home):
            continue
        # ``fn``, if a method exists for some parameters only. ``value`` of a class method, and of
        # what scikit-learn makes, such as ``set_fit_request``.
        static = inspect.getattr_static(cls, name)
        for one in (getattr(static, "fn", static), value):
            if inspect.isfunction(one) or inspect.ismethod(one):
                yield name, one
                break


def class_(cls):
    """Return the stub of a class."""
    names = ", ".join(base.__name__ for base in bases(cls))
    head = f"class {cls.__name__}" + f"({names})" * bool(names) + ":"
    if issubclass(cls, Exception):
        return f"{head} ..."
    lines = [attribute(cls, name, what) for name, what in attributes(cls).items()]
    if cls.__init__ is not object.__init__:
        given = signature(cls.__init__, ClassDoc(cls), "self")
        lines.append(f"def __init__{given} -> None: ...")
    lines += [function(name, value, own=True) for name, value in methods(cls)]
    return f"{head}\n" + indent("\n".join(lines), "    ")


def stub(module):
    """Return the text of the stub of a module."""
    parts, imports = [], set()
    for name in module.__all__:
        value = getattr(module, name)
        home = getattr(value, "__module__", module.__name__)
        package = ".".join(home.split(".")[:2])
        if package not in (module.__name__, "builtins", "skclipens.utils"):
            parts.append(f"from {package} import {name} as {name}")
        elif inspect.isclass(value):
            parts.append(class_(value))
            theirs = [base for base in bases(value) if base.__module__ != "builtins"]
            # scikit-learn's private modules are imported by its public ones.
            imports |= {(b.__module__.partition("._")[0], b.__name__) for b in theirs}
        elif callable(value):
            parts.append(function(name, value))
        else:
            parts.append(f"{name}: Any")
    lines = [f"from {home} import {name}" for home, name in sorted(imports)]
    return _HEADER + "\n".join([*lines, "", *parts]) + "\n"


def stub_of_package():
    """Return the text of the stub of the package itself, which imports its names when needed."""
    homes = [f"from skclipens.{home} import {n} as {n}" for n, home in skclipens._HOMES.items()]
    modules = [f"from skclipens import {name} as {name}" for name in skclipens._SUBMODULES]
    head = '"""Made by ``python -m tools.docs.stubs``."""'
    return "\n".join([head, "", *modules, "", *homes, "", "__version__: str"]) + "\n"


def stubs():
    """Return the texts of all stubs, by their paths."""
    texts = {Path(skclipens.__file__).with_suffix(".pyi"): stub_of_package()}
    for name in MODULES:
        module = importlib.import_module(f"skclipens.{name}")
        texts[Path(module.__file__).with_suffix(".pyi")] = stub(module)
    return texts


def main():
    """Write all stubs."""
    for path, text in stubs().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
