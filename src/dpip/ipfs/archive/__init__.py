"""Archives of packages as content: taken apart, stored once, put together bit for bit."""
