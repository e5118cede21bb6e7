"""Write docs/reference.md from the docstrings: python docs/reference.py."""

from __future__ import annotations

import builtins
import inspect
import logging
import sys
import typing
from pathlib import Path

import griffe

import tep_parallel
from tep_parallel._engine.arguments import DEFAULTS

# It misses in the signature of Parallel what **options stands for.
logging.getLogger("griffe").setLevel(logging.ERROR)

ROOT = Path(__file__).parent.parent
KINDS = {*vars(builtins), *vars(typing)} - {"Generic"}
STARS = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
HEAD = """# Reference

Every public name of `tep_parallel`, from its docstring.
`python docs/reference.py` writes this page.
"""


def reference() -> str:
    """The page."""
    package = griffe.load("tep_parallel", search_paths=[ROOT, *sys.path], docstring_parser="google")
    parts = [HEAD]
    for name in sorted(map(str, package.exports or []), key=lambda name: name != "Parallel"):
        found = package[name]
        target = found.final_target if found.is_alias else found
        if isinstance(target, griffe.Class):
            parts += _class(target)
        else:
            call = (
                f"`{name}{_arguments(target)}`\n\n" if isinstance(target, griffe.Function) else ""
            )
            parts.append(f"## {name}\n\n{call}{_texts(target)}")
    return "\n".join(parts)


def _class(found: griffe.Class) -> list[str]:
    names = {str(base).partition("[")[0]: base for base in found.bases}
    known = [base for name, base in names.items() if hasattr(tep_parallel, name) or name in KINDS]
    bases = ", ".join(f"`{base}`" for base in known)
    kind = f" A kind of {bases}." if bases else ""
    head = f"## {found.name}\n\n`{found.name}{_signature(found)}`{kind}\n\n{_texts(found)}"
    parts = [head]
    for member in found.members.values():
        if member.name.startswith("_") or member.docstring is None:
            continue
        call = _arguments(member) if isinstance(member, griffe.Function) else ""
        title = f"{found.name}.{member.name}"
        parts.append(f"### {title}\n\n`{title}{call}`\n\n{_texts(member)}")
    return parts


def _signature(found: griffe.Class) -> str:
    """The arguments of its constructor, if its docstring says what they are."""
    init = found.members.get("__init__")
    parsed = found.docstring.parsed if found.docstring else []
    kinds = griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes
    told = any(section.kind in kinds for section in parsed)
    return _arguments(init, result=False) if told and isinstance(init, griffe.Function) else ""


def _options() -> list[inspect.Parameter]:
    """Those of Parallel."""
    parameters = inspect.signature(tep_parallel.Parallel).parameters
    return [parameters[name] for name in DEFAULTS]


def _arguments(function: griffe.Function, *, result: bool = True) -> str:
    shown, keyword_only = [], False
    for parameter in function.parameters:
        if parameter.name == "self":
            continue
        if parameter.kind in STARS and parameter.name != "options":
            shown.append(f"{STARS[parameter.kind]}{parameter.name}: {parameter.annotation}")
            keyword_only = True
            continue
        if parameter.kind is griffe.ParameterKind.var_keyword:
            shown += [str(one).replace("'", "", 2) for one in _options()]
            continue
        if parameter.kind is griffe.ParameterKind.keyword_only and not keyword_only:
            keyword_only = True
            shown.append("*")
        text = f"{parameter.name}: {parameter.annotation}"
        shown.append(text if parameter.default is None else f"{text} = {parameter.default}")
    returns = f" -> {function.returns}" if result and function.returns else ""
    return f"({', '.join(shown)}){returns}"


def _texts(found: griffe.Object | griffe.Alias) -> str:
    """Its docstring in Markdown."""
    if found.docstring is None:
        return "\n"
    texts = []
    for section in found.docstring.parsed:
        if section.kind is griffe.DocstringSectionKind.text:
            texts.append(f"{section.value}\n")
            continue
        lines = []
        for entry in section.value:
            name = getattr(entry, "name", None) or getattr(entry, "annotation", None)
            head = f"`{name}`: " if name else ""
            lines.append(f"- {head}{' '.join(entry.description.split())}")
        title = {"parameters": "Arguments"}.get(section.kind.value, section.kind.value.capitalize())
        texts.append(f"{title}:\n\n" + "\n".join(lines) + "\n")
    return "\n".join(texts)


if __name__ == "__main__":
    Path(__file__).with_name("reference.md").write_text(reference())
