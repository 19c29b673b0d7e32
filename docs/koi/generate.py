"""Write `reference.md` from the code: every public name of `dpip.koi`, with its signature.

`make docs` runs it; a test checks that the page is what the code says.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PAGE = Path(__file__).with_name("reference.md")
MODULES = (
    "dpip.koi.node",
    "dpip.koi.identity",
    "dpip.koi.rid",
    "dpip.koi.bundle",
    "dpip.koi.cache",
    "dpip.koi.journal",
    "dpip.koi.processor.interface",
    "dpip.koi.processor.knowledge_object",
    "dpip.koi.processor.handler",
    "dpip.koi.processor.kobj_queue",
    "dpip.koi.processor.default_handlers",
    "dpip.koi.processor.policy",
    "dpip.koi.network.interface",
    "dpip.koi.network.graph",
    "dpip.koi.network.directed",
    "dpip.koi.network.request_handler",
    "dpip.koi.network.response_handler",
    "dpip.koi.network.address",
    "dpip.koi.protocol.node",
    "dpip.koi.protocol.edge",
    "dpip.koi.protocol.event",
    "dpip.koi.protocol.api_models",
    "dpip.koi.protocol.consts",
    "dpip.koi.protocol.errors",
    "dpip.koi.signing",
    "dpip.koi.server",
    "dpip.koi.messages",
    "dpip.koi.testing",
    "dpip.koi.errors",
)
OPENING = """\
# Reference of `dpip.koi`

Written by `make docs` from the code. What each name does in detail is in its docstring. The
common names can be imported from `dpip.koi` itself: {exports}.
"""


def page() -> str:
    """Return the whole page."""
    exports = importlib.import_module("dpip.koi").__all__
    parts = [OPENING.format(exports=", ".join(f"`{name}`" for name in sorted(exports)))]
    for name in MODULES:
        module = importlib.import_module(name)
        parts.append(f"## `{name}`\n\n{_prose(module)}\n")
        parts.extend(entry for _, entry in entries(module))
    return "\n".join(parts)


def entries(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield each public name of a module with its part of the page."""
    for name in public(module):
        value = getattr(module, name)
        if inspect.isclass(value):
            yield name, _of_class(name, value)
        elif inspect.isfunction(value):
            yield name, f"### `{name}`\n\n{_shown(name, value)}\n\n{_prose(value)}\n"
        else:
            yield name, f"### `{name}`\n\n{_of_value(value)}\n"


def public(module: ModuleType) -> list[str]:
    """Return the names that a module offers: those it lists, else those it defines."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and _is_own(name, value, module)
    ]


def _is_own(name: str, value: Any, module: ModuleType) -> bool:
    if inspect.ismodule(value) or name in {"annotations", "TYPE_CHECKING", "logger"}:
        return False
    own = getattr(value, "__module__", None)
    return own == module.__name__ if inspect.isclass(value) or callable(value) else name.isupper()


def _of_class(name: str, cls: type[Any]) -> str:
    lines = [f"### `{name}`", ""]
    if not issubclass(cls, enum.Enum | BaseException):
        lines += [_shown(name, cls), ""]
    lines += [_prose(cls), ""]
    if issubclass(cls, enum.Enum):
        lines += ["One of " + ", ".join(f"`{member.name}`" for member in cls) + ".", ""]
    for member, value in vars(cls).items():
        if member.startswith("_") or issubclass(cls, enum.Enum):
            continue
        function = getattr(value, "__func__", value)
        if isinstance(value, property):
            lines.append(f"- `{member}`: {_prose(value, first=True)}")
        elif inspect.isfunction(function):
            shown = " ".join(_signature(member, function).split())
            lines.append(f"- `{shown}`: {_prose(function, first=True)}")
    return "\n".join(lines).rstrip() + "\n"


def _of_value(value: Any) -> str:
    if isinstance(value, frozenset):
        return ", ".join(f"`{item!r}`" for item in sorted(value))
    if isinstance(value, tuple):
        named = (getattr(getattr(item, "func", item), "__name__", str(item)) for item in value)
        return ", ".join(f"`{name}`" for name in named)
    if isinstance(value, str | int | float):
        return f"`{value!r}`"
    told = getattr(value, "func", value)
    return _prose(told) if type(told).__doc__ != told.__doc__ else f"A `{type(value).__name__}`."


def _shown(name: str, value: Any) -> str:
    """Return a call as a block of code, a parameter a line where it is long."""
    return f"```text\n{_signature(name, value)}\n```"


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    words: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.name in {"self", "cls"}:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(_parameter(parameter))
    returns = signature.return_annotation
    arrow = "" if inspect.isclass(value) or returns is signature.empty else f" -> {_plain(returns)}"
    line = f"{name}({', '.join(words)}){arrow}"
    if len(line) < 90:
        return line
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){arrow}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_plain(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {_plain(parameter.default, default=True)}"
    return text


def _plain(value: Any, *, default: bool = False) -> str:
    if isinstance(value, str) and not default:
        return value
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__name__
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _prose(value: Any, *, first: bool = False) -> str:
    text = inspect.getdoc(value) or ""
    return text.partition("\n")[0] if first else text


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
