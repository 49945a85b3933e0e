"""The houses of the package: who may import whom, and who knows what."""

import ast
from pathlib import Path

import pytest

import skclipens

PACKAGE = Path(skclipens.__file__).parent

# Each may import those in sets after its own, and none of its own set: the one home of this rule.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"utils"},
    {
        "labels",
        "model_selection",
        "pipeline",
        "cascade",
        "inspection",
        "decomposition",
        "retrieval",
    },
    {"metrics"},
    {"ensemble"},
    {"heads"},
    {"_mistakes"},
    {"embedding"},
    {"backbones", "datasets"},
    {"images", "zoo"},
    {"_utils"},
    {"exceptions"},
]
FLOOR_OF = {house: floor for floor, houses in enumerate(FLOORS) for house in houses}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield path, parts[:-1] if parts[-1] == "__init__" else parts


def imported_modules(path, parts):
    """Modules that a file imports, also inside functions, as parts from the package on."""
    is_package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield tuple(name.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = ("skclipens", *parts)[: len(parts) + 1 + is_package - node.level]
                module = (*base, *module)
            if module == ("skclipens",):
                for name in node.names:
                    yield (*module, name.name)
            else:
                yield module


def private_names(path):
    """Names with a leading underscore that a file imports from public modules of scikit-learn."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            yield from (name.name for name in node.names if name.name.startswith("_"))


def arrows():
    for path, parts in modules():
        for module in imported_modules(path, parts):
            if parts and module[0] == "skclipens" and len(module) > 1 and module[1] != parts[0]:
                yield parts[0], module[1], path.relative_to(PACKAGE)


def test_every_house_has_a_floor():
    houses = {parts[0] for _, parts in modules() if parts}
    assert houses == set(FLOOR_OF)


def test_imports_go_downwards():
    wrong = [
        f"{path} imports {there}"
        for here, there, path in arrows()
        if FLOOR_OF[there] <= FLOOR_OF[here]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("house", sorted(FLOOR_OF))
def test_each_folder_says_what_lives_there(house):
    folder = PACKAGE / house
    if folder.is_dir():
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        assert len(text.splitlines()[0]) > 20


def test_one_module_knows_what_is_private_in_scikit_learn():
    found = [
        f"{path.relative_to(PACKAGE)}: {'.'.join(module)}"
        for path, parts in modules()
        for module in imported_modules(path, parts)
        if module[0] == "sklearn" and any(part.startswith("_") for part in module)
        if parts != ("_utils", "_sklearn")
    ]
    found += [
        f"{p.name}: {name}"
        for p, parts in modules()
        for name in private_names(p)
        if parts != ("_utils", "_sklearn")
    ]
    assert not found, "\n".join(found)


def test_only_three_houses_know_open_clip():
    found = {
        parts[0]
        for path, parts in modules()
        for module in imported_modules(path, parts)
        if module[0] == "open_clip"
    }
    assert found <= {"backbones", "embedding", "datasets"}  # datasets: names of ImageNet


def test_one_module_knows_locks_of_threads():
    holders = {path.name for path in PACKAGE.rglob("*.py") if "threading.Lock" in path.read_text()}
    assert holders == {"_locks.py"}  # others would stay held after a fork


def test_files_are_short():
    long = [path.name for path, _ in modules() if len(path.read_text("utf-8").splitlines()) > 400]
    assert not long


def test_no_modules_import_each_other_in_a_circle():
    known, above = {parts for _, parts in modules()}, {}
    for path, parts in modules():
        if path.name != "__init__.py":
            above[parts] = {module[1:] for module in imported_modules(path, parts)} & known
    ordered = set()
    while left := [parts for parts in above if parts not in ordered]:
        free = [parts for parts in left if above[parts] & set(left) <= {parts}]
        assert free, f"these import each other: {left}"
        ordered.update(free)
