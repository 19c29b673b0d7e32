"""Words in, words out: the `dpip` command."""
