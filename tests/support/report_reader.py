"""What a test reads from a finished report."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path


def rows_of(run: Path) -> list[dict]:
    return json.loads((run / "report" / "results.json").read_text())["rows"]


def page(run: Path) -> str:
    return (run / "report" / "index.html").read_text(encoding="utf-8")


def words(html: str) -> str:
    """The text of a page without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


class Reader(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.values += [f"{name}={value}" for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader
