"""The one part of the build that is not in pyproject.toml: an optional C extension.

Without a compiler the package installs all the same and runs the Python twin,
`dpip/ipfs/rolling.py`.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "dpip.ipfs._rolling",
            ["src/dpip/ipfs/_rolling.c"],
            optional=True,
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
