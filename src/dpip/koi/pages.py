"""The OpenAPI document and a page that shows it, with nothing loaded from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import Any

import msgspec

from .openapi import document
from .responder import Reply


@lru_cache(maxsize=1)
def _json() -> bytes:
    return msgspec.json.format(msgspec.json.encode(document()))


def page(path: str) -> Reply | None:
    """Return `/openapi.json` or `/docs`."""
    if path == "/openapi.json":
        return Reply(200, _json())
    if path in {"/docs", "/"}:
        return Reply(200, _html().encode(), {"content-type": "text/html; charset=utf-8"})
    return None


@lru_cache(maxsize=1)
def _html() -> str:
    api = document()
    sections = [
        _section(path, method, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [
        f"<details><summary>{escape(name)}</summary><pre>{_pretty(schema)}</pre></details>"
        for name, schema in api["components"]["schemas"].items()
    ]
    title = escape(api["info"]["title"])
    return _PAGE.format(title=title, paths="".join(sections), schemas="".join(schemas))


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    example = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = escape(msgspec.json.encode(example.get("example", {})).decode())
    form = (
        f"<form data-method='{method}' data-path='{escape(path)}'>"
        + (f"<textarea rows=4>{body}</textarea>" if method == "post" else "")
        + "<button>Send</button><pre class=answer></pre></form>"
    )
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><p>{escape(operation['description'])}</p>"
        f"{form}<pre>{_pretty(operation['responses'])}</pre></details>"
    )


def _pretty(value: Any) -> str:
    return escape(msgspec.json.format(msgspec.json.encode(value)).decode())


_PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem }}
details {{ border: 1px solid #8886; border-radius: 6px; margin: .5rem 0; padding: .5rem 1rem }}
summary {{ cursor: pointer }}
textarea {{ width: 100%; font-family: monospace }}
pre {{ overflow: auto }}
</style>
<h1>{title}</h1>
<p>The raw document: <a href="openapi.json">openapi.json</a></p>
<h2>Endpoints</h2>{paths}
<h2>Schemas</h2>{schemas}
<script>
for (const form of document.querySelectorAll("form")) form.onsubmit = async event => {{
  event.preventDefault();
  const text = form.querySelector("textarea");
  const options = {{ method: form.dataset.method.toUpperCase() }};
  if (text) {{
    options.body = text.value;
    options.headers = {{ "content-type": "application/json" }};
  }}
  const base = location.pathname.replace(/\\/(docs)?$/, "");
  const answer = await fetch(base + form.dataset.path, options);
  form.querySelector(".answer").textContent = answer.status + "\\n" + await answer.text();
}};
</script>
</html>
"""
