"""The package index protocol: its model, its two encodings, repositories, client, server."""
