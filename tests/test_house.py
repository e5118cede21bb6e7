"""The house of the Python files: which wing imports which, and how long files may be."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tep_parallel
from tep_parallel import Parallel, digest_files

ROOT = Path(__file__).parent.parent
PACKAGE = Path(tep_parallel.__file__).parent
LONGEST_FILE, LONGEST_FUNCTION = 250, 60  # lines
DOOR = "_engine.native"  # the one module that imports the extension


@cache
def modules() -> dict[str, ast.Module]:
    """Every module, by its name within the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


def imports(name: str) -> Iterator[str]:
    """What a module imports of the package, in functions and for type checkers too."""
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: an import that is relative"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for each in names:
            inside = each.removeprefix("tep_parallel.")
            if inside != each:
                while inside not in modules() and inside != "_sphttp" and "." in inside:
                    inside = inside.rpartition(".")[0]  # a name in a module
                yield inside


@cache
def wings() -> list[list[str]]:
    """The order of the wings as CONTRIBUTING.md says it: each a list of modules or folders."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.partition("## The order of the wings\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^Python: (.*)$", section, re.MULTILINE)
    assert len(lines) == 1
    return [re.findall(r"`(\w+)`", wing) for wing in lines[0].split("->")]


def wing_of(name: str) -> int:
    """The place of a module's wing in that order."""
    places = [place for place, wing in enumerate(wings()) if name.split(".")[0] in wing]
    assert len(places) == 1, f"{name} is in {len(places)} wings of the line in CONTRIBUTING.md"
    return places[0]


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_only_of_its_own_wing_and_of_those_to_its_right(name: str) -> None:
    for other in imports(name):
        if other != "_sphttp":
            assert wing_of(name) <= wing_of(other), f"{name} imports {other}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    others = {name: set(imports(name)) - {"_sphttp"} for name in modules()}
    TopologicalSorter(others).prepare()  # it raises CycleError, which names the circle


def test_one_module_alone_imports_the_extension() -> None:
    assert [name for name in modules() if "_sphttp" in imports(name)] == [DOOR]
    for path in PACKAGE.rglob("*.py"):
        if path != PACKAGE.joinpath(*DOOR.split(".")).with_suffix(".py"):
            assert "_sphttp" not in path.read_text(), f"{path} names the extension"


def test_no_file_of_the_package_is_too_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert [path for path, lines in lengths.items() if lines > LONGEST_FILE] == []


def test_no_function_of_the_package_is_too_long() -> None:
    too_long = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= LONGEST_FUNCTION:
                    too_long.append(f"{name}.{node.name}: {node.end_lineno - node.lineno + 1}")
    assert too_long == []


def accepted(*names: str) -> dict[str, str]:
    """The arguments and their types, of the TypedDicts from which the overloads take them."""
    found = {}
    for node in ast.walk(modules()["_engine.arguments"]):
        if isinstance(node, ast.ClassDef) and node.name in names:
            for line in node.body:
                if isinstance(line, ast.AnnAssign):
                    found[ast.unparse(line.target)] = ast.unparse(line.annotation)
    return found


def test_what_benchmarks_import_of_each_other_is_there() -> None:
    """They need packages that tests do not have: this looks at their text."""
    trees = {path.stem: ast.parse(path.read_text()) for path in ROOT.glob("benchmarks/*.py")}
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in trees:
                for alias in node.names:
                    assert alias.name in defined(trees[node.module]), f"{name}: {alias.name}"


def defined(tree: ast.Module) -> set[str]:
    """The names at the top of a module."""
    found = set[str]()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        found |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found


def test_the_signatures_that_users_see_are_those_that_type_checkers_see() -> None:
    shown = inspect.signature(Parallel).parameters
    kinds = {name: str(each.annotation) for name, each in shown.items()}
    del kinds["worker"], kinds["codec"]
    assert kinds == accepted("DigestArguments", "Arguments")
    shown = inspect.signature(digest_files).parameters
    others = ("paths", "key", "algorithm", "return_exceptions")
    kinds = {name: str(each.annotation) for name, each in shown.items() if name not in others}
    assert kinds == accepted("DigestArguments")
