"""Print, as JSON, what a package of KOI nodes offers: modules, names, members, parameters.

Run by the interpreter of an original release, or by ours: `surface.py PACKAGE`.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import pkgutil
import sys
from typing import Any

OURS = "dpip.koi"


def modules(package: str) -> dict[str, Any]:
    """Return every module of a package by its path below the package."""
    root = importlib.import_module(package)
    found = {"": root}
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        found[info.name.removeprefix(f"{package}.")] = importlib.import_module(info.name)
    return found


def names(module: Any, package: str) -> dict[str, Any]:
    """Return the public names of a module: its own, and a package's those of its modules.

    Ours may offer a name from anywhere, as long as it is found where the original has it.
    """
    own = {}
    for name, value in vars(module).items():
        if name.startswith("_") or inspect.ismodule(value):
            continue
        home = getattr(value, "__module__", module.__name__) or module.__name__
        inside = hasattr(module, "__path__") and f"{home}.".startswith(f"{package}.")
        plain = isinstance(value, str) and not module.__name__.endswith(".consts")
        if package == OURS or ((home == module.__name__ or inside) and not plain):
            own[name] = described(value)
    return own


def described(value: Any) -> dict[str, Any]:
    """Return what kind of thing a name is, with its members and parameters."""
    if inspect.isclass(value):
        if issubclass(value, enum.Enum):
            return {"kind": "class", "members": [member.name for member in value]}
        return {"kind": "class", "parameters": parameters(value), "members": members(value)}
    if inspect.isfunction(value):
        return {"kind": "function", "parameters": parameters(value)}
    return {"kind": "value"}


def members(cls: type) -> dict[str, Any]:
    """Return the public attributes, methods and fields that classes of the package define."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.split(".")[0] in {"builtins", "pydantic", "typing", "enum", "abc"}:
            continue
        for name in inspect.get_annotations(base):
            found.setdefault(name, None)
        for name, value in vars(base).items():
            function = getattr(value, "__func__", value)
            found[name] = parameters(function) if inspect.isfunction(function) else None
    return {name: shown for name, shown in found.items() if not name.startswith(("_", "model_"))}


def parameters(function: Any) -> list[list[Any]]:
    """Return names, defaults (as text; None: there is none) and whether by keyword only."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError, NameError):  # the last: a struct of names for type checkers
        return []
    return [
        [
            parameter.name,
            None if parameter.default is parameter.empty else repr(parameter.default),
            parameter.kind is parameter.KEYWORD_ONLY,
        ]
        for parameter in signature.parameters.values()
        if parameter.name not in {"self", "cls"} and parameter.kind is not parameter.VAR_POSITIONAL
    ]


if __name__ == "__main__":
    chosen = sys.argv[1]
    print(json.dumps({path: names(module, chosen) for path, module in modules(chosen).items()}))
