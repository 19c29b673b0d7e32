"""Small random indexes in packse's format, with all that an index and a user can say.

A number makes a scenario, always the same one. Each has its own mixture: one is about
pre-releases and yanked versions, another about extras and markers. Left out is what the
standards leave open and tools answer differently (see decision 10): exclusions in
Requires-Python, overrides of requirements with markers, text operators on versions.
"""

from __future__ import annotations

import random
from typing import Any

Scenario = dict[str, Any]

MARKERS = [
    "python_version >= '3.12'",
    "python_version < '3.13'",
    "python_version == '3.12'",
    "python_version != '3.12'",
    "python_version > '3.12'",
    "python_version ~= '3.12'",
    "python_version not in '3.12 3.13'",
    "python_full_version < '3.12.4'",
    "python_full_version == '3.12.*'",
    "python_full_version != '3.13.*'",
    "sys_platform == 'linux'",
    "sys_platform != 'linux'",
    "sys_platform == 'win32'",
    "sys_platform == 'darwin'",
    "'linux' in sys_platform",
    "platform_machine == 'x86_64'",
    "platform_machine != 'arm64'",
    "os_name == 'posix'",
    "os_name == 'nt'",
    "implementation_name == 'cpython'",
    "platform_python_implementation == 'PyPy'",
    "platform_system == 'Windows'",
]
VERSIONS = {
    "plain": ["1.0", "1.1", "2.0", "3.0"],
    "early": ["1.1a1", "2.0rc1", "3.0.dev1", "3.0b2"],
    "local": ["1.0+a", "1.0+b.2", "2.0+a"],
    "post": ["1.0.post1", "1.0.post2", "1.1.post1.dev1", "2.0a1.post1", "1!0.5"],
}
PYTHONS = [">=3.8"] * 3 + [">=3.12", ">=3.13", ">=3.14", ">3.12", "<3.12", "~=3.12", "==3.12.*", ""]
TAGS = [
    "py3-none-any",
    "py2.py3-none-any",
    "py2-none-any",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp313-cp313-manylinux_2_17_x86_64",
    "cp39-abi3-manylinux_2_17_x86_64",
    "cp312-abi3-win_amd64",
    "py3-none-macosx_11_0_arm64",
    "cp312-cp312-musllinux_1_1_x86_64",
]
SUBJECTS = {
    "early": 0.35,
    "local": 0.2,
    "post": 0.25,
    "extras": 0.4,
    "markers": 0.5,
    "tags": 0.25,
    "yanked": 0.25,
    "pythons": 0.35,
    "sdists": 0.3,
    "constraints": 0.15,
    "formats": 0.12,
}
OPERATORS = [*[">=", "<", "=="] * 4, *[">", "<=", "!="] * 2, "~=", "==*", "!=*", "==="]


def scenario(number: int, *, universal: bool = False) -> Scenario:
    """Return the scenario of a number, with `constraints` beside what packse has."""
    return _Chance(random.Random(f"{number} {universal}"), universal=universal).scenario()


class _Chance:
    def __init__(self, chance: random.Random, *, universal: bool) -> None:
        self.chance = chance
        self.universal = universal
        self.names = list("abcde")[: chance.randint(2, 5)]
        self.about = {subject for subject, odds in SUBJECTS.items() if chance.random() < odds}
        if universal:
            self.about.add("markers")
        kinds = [kind for kind in VERSIONS if kind == "plain" or kind in self.about]
        self.versions = [version for kind in kinds for version in VERSIONS[kind]]

    def clause(self) -> str:
        operator, version = self.chance.choice(OPERATORS), self.chance.choice(self.versions)
        if operator.endswith("*"):
            return operator[:2] + self.chance.choice(["1.*", "2.*", "1.0.*", "2.0.*"])
        return operator + (version.split("+")[0] if operator[0] in "<>~" else version)

    def specifier(self) -> str:
        return ",".join(self.clause() for _ in range(self.chance.choice([0, 0, 1, 1, 1, 2])))

    def marker(self) -> str:
        if "markers" not in self.about or self.chance.random() < (0.3 if self.universal else 0.6):
            return ""
        found = self.chance.choice(MARKERS)
        if self.chance.random() < 0.2:
            found += f" {self.chance.choice(['and', 'or'])} {self.chance.choice(MARKERS)}"
        return f" ; {found}"

    def line(self, names: list[str]) -> str:
        extras = ""
        if "extras" in self.about and self.chance.random() < 0.35:
            extras = self.chance.choice(["[x]", "[y]", "[x,y]", "[nope]"])
        return self.chance.choice(names) + extras + self.specifier() + self.marker()

    def release(self, name: str) -> Scenario:
        chance = self.chance
        later = self.names[self.names.index(name) + 1 :]
        if chance.random() < 0.2:
            later = [each for each in self.names if each != name]
        if chance.random() < 0.04:
            later = [*later, "nowhere"]
        count = chance.choice([0, 0, 1, 1, 2, 3]) if later else 0
        found: Scenario = {
            "requires": [self.line(later) for _ in range(count)],
            "requires_python": ">=3.8",
        }
        if "extras" in self.about:
            found["extras"] = {extra: self.extra(name, extra, later) for extra in "xy"}
        if "pythons" in self.about:
            found["requires_python"] = chance.choice(PYTHONS)
        if "yanked" in self.about and chance.random() < 0.3:
            found["yanked"] = True
        return {**found, **self.files()}

    def extra(self, name: str, extra: str, later: list[str]) -> list[str]:
        if self.chance.random() < 0.3:
            return [f"{name}[{'y' if extra == 'x' else 'x'}]"]
        return [self.line(later)] if later and self.chance.random() < 0.6 else []

    def files(self) -> Scenario:
        if "tags" in self.about and self.chance.random() < 0.5:
            tags = self.chance.sample(TAGS, self.chance.randint(1, 2))
            return {"wheel_tags": tags, "sdist": self.chance.random() < 0.3}
        if "sdists" in self.about:
            return {"wheel": self.chance.random() < 0.7, "sdist": True}
        return {"sdist": self.chance.random() < 0.8}

    def options(self) -> Scenario:
        found: Scenario = {"universal": True} if self.universal else {}
        if "early" in self.about and self.chance.random() < 0.2:
            found["prereleases"] = True
        if self.chance.random() < 0.15:
            found["resolution"] = self.chance.choice(["lowest", "lowest-direct"])
        if not self.universal and self.chance.random() < 0.2:
            found["python_platform"] = self.chance.choice(["windows", "macos", "linux"])
        if self.chance.random() < 0.2:
            found["python"] = self.chance.choice(["3.11", "3.13", "3.12.4"])
        if "formats" in self.about:
            kind = self.chance.choice(["no_build", "no_binary"])
            found[kind] = self.chance.sample(self.names, 1)
        return found

    def scenario(self) -> Scenario:
        chance = self.chance
        packages = {}
        for name in self.names:
            some = chance.sample(self.versions, min(len(self.versions), chance.randint(1, 5)))
            packages[name] = {"versions": {version: self.release(name) for version in some}}
        if chance.random() < 0.05:
            del packages[chance.choice(self.names)]
        bound = f"{chance.choice(self.names)}{self.clause()}"
        return {
            "root": {"requires": [self.line(self.names) for _ in range(chance.randint(1, 3))]},
            "packages": packages,
            "resolver_options": self.options(),
            "constraints": [bound] if "constraints" in self.about else [],
        }
