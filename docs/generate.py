"""Write the tables of `docs/reference/` from the code: `make docs`.

Each table stands between two marks in a page whose other words are written by hand. A test
checks that no row is missing.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import dpip
from dpip import settings
from dpip.cli.main import COMMANDS
from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = Path(__file__).parent / "reference"
BEGIN, END = "<!-- table: make docs writes it -->\n", "<!-- end of table -->\n"


def errors() -> list[str]:
    """Return a row for each error's slug."""
    for module in pkgutil.walk_packages(dpip.__path__, "dpip."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds = {kind.slug: kind for kind in _below(DpipError) if kind.__module__.startswith("dpip")}
    return [_row(f"`{slug}`", str(kind.exit_code), _first_line(kind), kind.default_hint)
            for slug, kind in sorted(kinds.items())]  # fmt: skip


def setting_rows() -> list[str]:
    """Return a row for each setting."""
    told = _attribute_docs(settings.Settings)
    defaults = {
        name: "the platform's data directory" if name == "home" else repr(_default(name))
        for name in settings.field_types()
    }
    return [
        _row(f"`{name}`", f"`DPIP_{name.upper()}`", f"`{default}`", told.get(name, ""))
        for name, default in defaults.items()
    ]


def commands() -> list[str]:
    """Return a row for each command."""
    return [_row(f"`dpip {name}`", summary) for name, (_, summary) in sorted(COMMANDS.items())]


TABLES = {
    "errors": (errors, ("slug", "exit code", "what happened", "what to do")),
    "settings": (setting_rows, ("setting", "variable", "default", "meaning")),
    "commands": (commands, ("command", "does")),
}


def main() -> int:
    """Rewrite every table in place."""
    for name, (rows, head) in TABLES.items():
        path = PAGES / f"{name}.md"
        before, _, rest = path.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        table = "\n".join([_row(*head), _row(*["---"] * len(head)), *rows()])
        path.write_text(f"{before}{BEGIN}{table}\n{END}{after}", "utf-8")
    return 0


def _below(kind: type[DpipError]) -> Iterator[type[DpipError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _first_line(kind: type[DpipError]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _default(name: str) -> object:
    return settings.Settings.__dataclass_fields__[name].default


def _attribute_docs(kind: type) -> dict[str, str]:
    """Return the docstrings that stand below a class's attributes."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    told: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            told[field.target.id] = _string(text)
    return told


def _string(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return re.sub(r"\s+", " ", str(node.value.value)).strip()
    return ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
