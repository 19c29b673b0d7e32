"""`dpip private …`: upload tokens, and what was uploaded to this home.

    dpip private token add ci --project acme-tool     prints the secret, once
    dpip private token list | rm ID
    dpip private list
    dpip private yank FILE --reason "…" | unyank FILE | delete FILE

A running node follows within a second or two.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from dpip import settings

if TYPE_CHECKING:
    import argparse

    from dpip.mirror.private import Private


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _tokens(actions.add_parser("token", help="who may upload: add, list, rm"))
    listing = actions.add_parser("list", help="show every private file")
    listing.add_argument("--json", action="store_true", help="speak JSON")
    yank = actions.add_parser("yank", help="let nobody choose a file who does not pin it")
    yank.add_argument("--reason", default="", help="shown to those who pin it all the same")
    unyank = actions.add_parser("unyank", help="take a yank back")
    delete = actions.add_parser("delete", help="take a file out of the index for good")
    for action in (yank, unyank, delete):
        action.add_argument("filename")


def _tokens(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="token_action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a token and print its secret")
    add.add_argument("name", help="whose it is, such as ci")
    add.add_argument("--project", action="append", help="what it may release; repeat for more")
    listing = actions.add_parser("list", help="show the tokens, without secrets")
    for action in (add, listing):
        action.add_argument("--json", action="store_true", help="speak JSON")
    actions.add_parser("rm", help="revoke a token").add_argument("id")


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code. Raises NoSuchToken and NoSuchFile."""
    from dpip.mirror.private import Private

    home = settings.load().home
    home.mkdir(parents=True, exist_ok=True)
    private = Private(home / "private.sqlite3")
    try:
        if args.action == "token":
            _token(private, args)
        elif args.action == "list":
            _list(private, as_json=args.json)
        elif args.action == "delete":
            private.delete(args.filename)
        else:
            private.yank(args.filename, args.reason if args.action == "yank" else None)
    finally:
        private.close()
    return 0


def _token(private: Private, args: argparse.Namespace) -> None:
    if args.token_action == "rm":
        private.drop_token(args.id)
        return
    if args.token_action == "list":
        rows = [_row(token) for token in private.tokens()]
        lines = [f"{row['id']}  {row['name']}  {_scope(row['projects'])}" for row in rows]
        _print(rows, lines, as_json=args.json)
        return
    from datetime import UTC, datetime

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    token, secret = private.add_token(args.name, args.project, now)
    _print({**_row(token), "secret": secret}, [secret], as_json=args.json)
    if not args.json:
        sys.stderr.write(f"token {token.id}: user name __token__, this password, shown once\n")


def _list(private: Private, *, as_json: bool) -> None:
    rows = [
        {"project": name, "filename": file.filename, "size": file.size, "sha256": file.sha256,
         "uploaded": file.upload_time, "yanked": file.yanked}
        for name in private.names()
        for page in [private.project(name)]
        if page is not None
        for file in page.files
    ]  # fmt: skip
    lines = [
        f"{row['filename']}  {row['size']}  {row['sha256']}{_mark(row['yanked'])}" for row in rows
    ]
    _print(rows, lines, as_json=as_json)


def _row(token: Any) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "projects": token.projects,
        "created": token.created,
    }


def _scope(projects: tuple[str, ...] | None) -> str:
    return "every project" if projects is None else ", ".join(projects)


def _mark(yanked: object) -> str:
    return "" if yanked is None else f"  yanked: {yanked or 'no reason given'}"


def _print(value: object, lines: list[str], *, as_json: bool) -> None:
    text = json.dumps(value) + "\n" if as_json else "".join(f"{line}\n" for line in lines)
    sys.stdout.write(text)
