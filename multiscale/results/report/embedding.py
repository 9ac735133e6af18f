"""Interactive figures inside the page: the plotting library's script and the data in the file itself, nothing from elsewhere."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bokeh.models import LayoutDOM

_ID = re.compile(r'"(id|root_id)":"(p\d+)"')
_START = """
for (const item of document.querySelectorAll("script.live-data"))
  Bokeh.embed.embed_item(JSON.parse(item.textContent), item.dataset.target).then(() => document.documentElement.classList.add("live"));
"""
"""Shows every interactive figure; once one is there, the page hides what stands for it on paper and without scripts."""


def embedded(figure: LayoutDOM, key: str, description: str) -> str:
    """The place of an interactive figure in the page, and what is shown there; the same figure gives the same text.

    Args:
        figure: with all its data.
        key: its anchor, once in a page.
        description: what it shows, one sentence, for readers who do not see it.
    """
    from bokeh.core.json_encoder import serialize_json
    from bokeh.embed import json_item

    numbers: dict[str, str] = {}

    def renumbered(match: re.Match[str]) -> str:
        return f'"{match[1]}":"{key}-{numbers.setdefault(match[2], str(len(numbers)))}"'

    # The library numbers its objects through the whole process; in a page every number may stand once.
    # "</script>" would end the script, "<!--<script>" would keep it from ending.
    text = _ID.sub(renumbered, serialize_json(json_item(figure), pretty=False)).replace("<", "\\u003c")
    place = f'<div class="live" id="live-{key}" role="group" aria-label="{escape(description)}"></div>'
    return f'{place}<script type="application/json" class="live-data" data-target="live-{key}">{text}</script>'


@cache
def scripts() -> str:
    """What shows the embedded figures: the library's own script as installed, and one line that starts it."""
    from bokeh.resources import Resources

    library = Resources(mode="inline", components=["bokeh", "bokeh-widgets"], minified=True, log_level="warn").js_raw
    return "".join(f"<script>{text}</script>\n" for text in (*library, _START))
