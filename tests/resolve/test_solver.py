"""The solver alone, on packages that are nothing but numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dpip.resolve.solver import Edge, NoAnswer, Refused, Solver, ancestry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.resolve.incompatibility import Package, Versions

Needs = dict[str, str]
Index = dict[str, list[Needs]]


class Table:
    """A provider over a table: for each package its versions, oldest first, and their needs.

    A need is "1" for version 1, "12" for either of the two.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.names = ["root"]
        self.unusable: dict[str, Versions] = {}

    def universe(self, package: Package) -> Versions:
        return (1 << (len(self.index[self.names[package]]) + 1)) - 1

    def choose(self, package: Package, allowed: Versions, _solver: Solver) -> Versions | Refused:
        unusable = allowed & self.unusable.get(self.names[package], 0)
        if unusable:
            return Refused({package: unusable}, "unusable")
        return 1 << (allowed.bit_length() - 1)

    def edges(self, package: Package, version: Versions, solver: Solver) -> Iterator[Edge]:
        needs = self.index[self.names[package]][version.bit_length() - 2]
        for name, numbers in needs.items():
            if name not in self.names:
                self.names.append(name)
                solver.add(self.universe(len(self.names) - 1))
            admitted = sum(1 << int(number) for number in numbers)
            yield Edge(self.names.index(name), admitted, f"{name} {numbers}")

    def is_pinned(self, package: Package) -> bool:
        return package == 0

    def leader(self, package: Package) -> Package:
        return package


def answer(index: Index, **unusable: Versions) -> dict[str, int]:
    table = Table(index)
    table.unusable = unusable
    solver = Solver(table)
    decided = solver.run()
    return {table.names[p]: v.bit_length() - 1 for p, v in decided.items() if p}


def test_the_newest_that_fits() -> None:
    assert answer({"root": [{"a": "12"}], "a": [{}, {}, {}]}) == {"a": 2}


def test_nothing_that_nobody_needs() -> None:
    assert answer({"root": [{"a": "1"}], "a": [{}], "b": [{}]}) == {"a": 1}


def test_a_conflict_is_walked_back_from() -> None:
    index: Index = {"root": [{"a": "12", "b": "12"}], "a": [{}, {"b": "1"}], "b": [{"a": "1"}, {}]}
    assert answer(index) == {"a": 1, "b": 2}


def test_a_version_that_cannot_be_used_is_passed_over() -> None:
    assert answer({"root": [{"a": "12"}], "a": [{}, {}]}, a=0b100) == {"a": 1}


def test_a_package_that_needs_itself() -> None:
    assert answer({"root": [{"a": "12"}], "a": [{"a": "1"}, {"a": "1"}]}) == {"a": 1}


def test_there_is_no_answer() -> None:
    index: Index = {
        "root": [{"a": "1", "b": "1"}],
        "a": [{"c": "1"}],
        "b": [{"c": "2"}],
        "c": [{}, {}],
    }
    with pytest.raises(NoAnswer) as caught:
        answer(index)
    facts = {str(getattr(each.cause, "fact", "")) for each in ancestry(caught.value.proof)}
    assert {"a 1", "b 1", "c 1", "c 2"} <= facts


def test_what_was_learned_is_not_tried_again() -> None:
    # Every version of b needs an a that needs a c which is not there: seen once, for all.
    index: Index = {
        "root": [{"b": "123456789", "a": "12"}],
        "a": [{"c": "2"}, {}],
        "b": [{"a": "1"} for _ in range(9)],
        "c": [{}],
    }
    solver = Solver(Table(index))
    with pytest.raises(NoAnswer):
        solver.run()
    assert solver.conflicts < 9


def test_a_package_that_keeps_winning_is_decided_later() -> None:
    # The newest a forbids all but the oldest b; taking b first gives the better answer.
    index: Index = {
        "root": [{"a": "12", "b": "123456789"}],
        "a": [{}, {}],
        "b": [{"old": "1"}] + [{"a": "1"} for _ in range(8)],
        "old": [{}],
    }
    assert answer(index) == {"a": 1, "b": 9}
