"""`python -m dpip` is the `dpip` command."""

from dpip.cli.main import entry

if __name__ == "__main__":
    entry()
