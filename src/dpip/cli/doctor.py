"""`dpip doctor`: whether installs go through the node, and what would bypass it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dpip import settings
from dpip.errors import NotRunning, UsageError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "-r", "--requirement", action="append", metavar="FILE", type=Path,
        help="requirements files to look into (default: requirements*.txt here)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Look and tell; returns 1 if something bypasses the node, else 0."""
    from dpip.app.bypasses import find
    from dpip.app.pip_settings import ask_pip, environment_python

    config = settings.load()
    python = environment_python()
    node_url = _node_url(config)
    findings = find(ask_pip(python), os.environ, _lines(args.requirement), node_url or config.url)
    bypassed = any(finding.bypasses for finding in findings)
    if args.json:
        report = {
            "node": node_url,
            "python": str(python),
            "home": str(config.home),
            "findings": [dataclasses.asdict(finding) for finding in findings],
        }
        sys.stdout.write(json.dumps(report) + "\n")
        return int(bypassed)
    sys.stdout.write(f"node:    {node_url or 'not running (it starts with the first install)'}\n")
    sys.stdout.write(f"python:  {python}\nhome:    {config.home}\n")
    for finding in findings:
        mark = "bypass" if finding.bypasses else "note"
        sys.stdout.write(f"{mark}: {finding.where}: {finding.what}\n    {finding.effect}\n")
    if not bypassed:
        sys.stdout.write("nothing bypasses the node\n")
    return int(bypassed)


def _node_url(config: settings.Settings) -> str | None:
    from dpip.app import background

    try:
        node = background.running(config.home)
        background.health(node.url)
    except NotRunning:
        return None
    return node.url


def _lines(given: list[Path] | None) -> dict[str, list[str]]:
    """Return the lines of the files, and of files that they include, by name."""
    waiting = list(given or sorted(Path().glob("requirements*.txt")))
    lines: dict[str, list[str]] = {}
    while waiting:
        path = waiting.pop(0)
        if str(path) in lines:
            continue
        lines[str(path)] = text = _read(path)
        for line in text:
            words = line.split()
            if len(words) > 1 and words[0] in {"-r", "--requirement", "-c", "--constraint"}:
                waiting.append(path.parent / words[1])
    return lines


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
