"""Rendering of the templates: escaped by default, undefined names refused, no scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

from bedside.core.text import count, percent, plural
from bedside.stages.report import wording


def render(context: Mapping[str, Any], template: str = "index.html.j2") -> str:
    """Render a page as text: the report, or another of the templates.

    Everything from the context is escaped, and control characters are made visible.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bedside.stages.report", "templates"), autoescape=True,
        undefined=jinja2.StrictUndefined, finalize=wording.printable, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters |= {"count": count, "percent": percent}
    environment.globals["plural"] = plural
    return environment.get_template(template).render(context)
