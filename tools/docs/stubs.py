"""Write type hints of the public API, from the types in its docstrings, into stub files.

    python -m tools.docs.stubs

Each public module gets a stub beside it. A type in words that are no Python type, such as
"classifier or list", becomes Any. Fitted attributes come from scikit-learn's classes, which have no
hints, so type checkers treat them as Any, too.
"""

import importlib
import inspect
import re
from pathlib import Path

from numpydoc.docscrape import ClassDoc, FunctionDoc
from sklearn.base import BaseEstimator

import skclipens

MODULES = (
    "backbones", "cascade", "datasets", "decomposition", "embedding", "ensemble",
    "heads", "images", "inspection", "labels", "metrics", "model_selection",
    "pipeline", "retrieval", "utils", "utils.estimator_checks",
)  # fmt: skip
_HEADER = '''\
"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

'''
# Classes whose parameters a function passes on, and whose docstrings describe them.
_PASSED_ON = {"make_backbone_pipeline": ("MultiBackboneEmbedder", "AdaptiveBackboneEnsemble")}
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


def signature(function, doc, own=""):
    """Return the parameters of a function with hints, in parentheses."""
    others = [ClassDoc(getattr(skclipens, one)) for one in _PASSED_ON.get(function.__name__, ())]
    described = [p for one in (*others, doc) for p in one["Parameters"]]
    said = {name: p.type for p in described for name in re.split(", ?", p.name)}
    parts, star = [own] * bool(own), False
    for p in list(inspect.signature(function).parameters.values())[bool(own) :]:
        prefix = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
        star |= p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        what = hint(said.get(p.name, ""))
        if p.default is None and "None" not in what.split(" | ") and what != "Any":
            what += " | None"
        parts.append(f"{prefix}{p.name}: {what}" + " = ..." * (p.default is not p.empty))
    return f"({', '.join(parts)})"


def _returned(doc):
    if len(doc["Returns"]) != 1:
        return "Any"
    returned = doc["Returns"][0]
    return "Self" if "self" in (returned.name, returned.type) else hint(returned.type)


def function(name, value, indent=""):
    """Return the stub of a function or method."""
    kind = value.__func__ if inspect.ismethod(value) else None
    doc = FunctionDoc(value)
    own = "cls" if kind else "self" if indent else ""
    given = signature(kind or value, doc, own)
    mark = f"{indent}@classmethod\n" if kind else ""
    return f"{mark}{indent}def {name}{given} -> {_returned(doc)}: ..."


def class_(cls):
    """Return the stub of a class: its public methods, also those inherited from this package."""
    if issubclass(cls, Exception):
        bases = [base.__name__ for base in cls.__mro__[1:] if base.__module__ == "builtins"]
        return f"class {cls.__name__}({bases[0]}): ..."
    base = "(BaseEstimator)" if issubclass(cls, BaseEstimator) else ""
    lines = [f"class {cls.__name__}{base}:"]
    lines.append(f"    def __init__{signature(cls.__init__, ClassDoc(cls), 'self')} -> None: ...")
    for name, value in inspect.getmembers(cls, callable):
        static = inspect.getattr_static(cls, name)
        home = next(base for base in cls.__mro__ if name in vars(base))
        if name.startswith("_") or not home.__module__.startswith("skclipens"):
            continue
        # ``fn``, if a method exists for some parameters only.
        plain = value if isinstance(static, classmethod) else getattr(static, "fn", static)
        if inspect.isfunction(plain) or inspect.ismethod(plain):
            lines.append(function(name, plain, "    "))
    return "\n".join(lines)


def stub(module):
    """Return the text of the stub of a module."""
    parts = []
    for name in module.__all__:
        value = getattr(module, name)
        home = getattr(value, "__module__", module.__name__)
        package = ".".join(home.split(".")[:2])
        if package not in (module.__name__, "builtins", "skclipens.utils"):
            parts.append(f"from {package} import {name} as {name}")
        elif inspect.isclass(value):
            parts.append(class_(value))
        elif callable(value):
            parts.append(function(name, value))
        else:
            parts.append(f"{name}: Any")
    return _HEADER + "\n".join(parts) + "\n"


def stubs():
    """Return the texts of all stubs, by their paths."""
    root = Path(skclipens.__file__).parent
    texts = {}
    for name in MODULES:
        module = importlib.import_module(f"skclipens.{name}")
        texts[Path(module.__file__).with_suffix(".pyi")] = stub(module)
    names = [
        f"from skclipens.{home} import {name} as {name}" for name, home in skclipens._HOMES.items()
    ]
    top = ["__version__: str", "def __getattr__(name: str) -> Any: ..."]
    head = '"""Made by ``python -m tools.docs.stubs``."""\n\nfrom typing import Any\n\n'
    texts[root / "__init__.pyi"] = head + "\n".join([*names, "", *top]) + "\n"
    return texts


def main():
    """Write all stubs."""
    for path, text in stubs().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
