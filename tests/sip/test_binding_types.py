# SPDX-License-Identifier: GPL-2.0-or-later
"""The stub that mypy reads in place of the binding says what the binding is."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pjsua2 as pj
import pytest

ROOT = Path(__file__).parents[2]
STUB = ROOT / "gateway/sip/binding/pjsua2.pyi"
TREE = ast.parse(STUB.read_text())
CLASSES = {each.name: each for each in TREE.body if isinstance(each, ast.ClassDef)}
TAKES_ANYTHING = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}  # how SWIG wraps overloads
SHARED = "_Vector"


def members(name: str) -> Iterator[ast.stmt]:
    """What the stub says of a class, with what it takes from the one that stands for all vectors."""
    yield from CLASSES[name].body
    if any(isinstance(base, ast.Subscript) and ast.unparse(base.value) == SHARED for base in CLASSES[name].bases):
        yield from CLASSES[SHARED].body


def is_property(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(each) == "property" for each in function.decorator_list)


def fields(name: str) -> dict[str, tuple[str, bool]]:
    """The values that a class holds: type, and whether it can be set."""
    found: dict[str, tuple[str, bool]] = {}
    for member in members(name):
        if isinstance(member, ast.AnnAssign):
            found[ast.unparse(member.target)] = ast.unparse(member.annotation), True
        elif isinstance(member, ast.FunctionDef) and is_property(member) and member.returns is not None:
            found[member.name] = ast.unparse(member.returns), False
    return found


def mistakes_in(stub: ast.FunctionDef, built: object, where: str) -> Iterator[str]:
    """What the stub of a function has wrong about the one that was built."""
    if not callable(built):
        yield f"{where} is not there"
        return
    parameters = [each for each in inspect.signature(built).parameters.values() if each.name != "self"]
    if any(each.kind in TAKES_ANYTHING for each in parameters):
        return
    by_place = [each.arg for each in stub.args.posonlyargs if each.arg != "self"]
    by_name = [each.arg for each in stub.args.args if each.arg != "self"]
    if len(parameters) != len(by_place) + len(by_name):
        yield f"{where} takes {[each.name for each in parameters]}"
    elif by_name != [each.name for each in parameters[len(by_place) :]]:
        yield f"{where} names its parameters {[each.name for each in parameters]}"
    optional = sum(each.default is not inspect.Parameter.empty for each in parameters)
    if optional != len(stub.args.defaults):
        yield f"{where} has {optional} parameters that may be left out"


FOR_TESTS = {"keys_in"}
"""What tests alone ask of the binding: the gateway hears as the same audio comes in."""


def test_what_the_stub_names_is_in_the_module_as_it_says() -> None:
    mistakes: list[str] = []
    for each in TREE.body:
        match each:
            case ast.AnnAssign(target=ast.Name(id=name)) if not isinstance(getattr(pj, name, None), int):
                mistakes.append(f"{name} is no number")
            case ast.FunctionDef():
                mistakes += mistakes_in(each, getattr(pj, each.name, None), each.name)
            case ast.ClassDef(name=name) if name != SHARED:
                built = getattr(pj, name, None)
                for member in members(name):
                    if isinstance(member, ast.FunctionDef) and not is_property(member):
                        mistakes += mistakes_in(member, getattr(built, member.name, None), f"{name}.{member.name}")
                for field, (_, settable) in fields(name).items():
                    found = inspect.getattr_static(built, field, None) if built else None
                    if not isinstance(found, property) or (settable and found.fset is None):
                        mistakes.append(f"{name}.{field} is no value that can be {'set' if settable else 'read'}")
    assert not mistakes


@pytest.mark.parametrize("name", [name for name in CLASSES if fields(name) and name not in {"Error", "SipRequest"}])
def test_what_the_stub_says_of_a_value_is_its_type(name: str) -> None:
    made = getattr(pj, name)()
    wrong = {field: type(value) for field in fields(name) if (value := getattr(made, field)) is not None}
    assert {field: said for field, (said, _) in fields(name).items()} == {
        field: kind.__name__ for field, kind in wrong.items()
    }


def test_the_stub_names_nothing_that_nobody_uses() -> None:
    """What is used is in it, or mypy would say so; what is no longer used would only have to be kept right."""
    used = "\n".join(path.read_text() for path in (ROOT / "gateway/sip").rglob("*.py"))
    named = {each.name for each in TREE.body if isinstance(each, ast.FunctionDef)}
    named |= {ast.unparse(each.target) for each in TREE.body if isinstance(each, ast.AnnAssign)}
    named |= {member.name for name in CLASSES for member in members(name) if isinstance(member, ast.FunctionDef)}
    named |= {field for name in CLASSES for field in fields(name)}
    words = set(re.findall(r"\w+", used))
    assert {name for name in named if not name.startswith("__")} <= words | FOR_TESTS
