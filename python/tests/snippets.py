"""Code blocks of the older server's documentation, by heading and language.

`older.txt` is a verbatim copy of examples/python-server/README.md of https://github.com/woosukj/ddsp-realtime, licensed
under Apache-2.0 (see LICENSE-APACHE in the root of this repository). It must not be edited: the tests execute what it
prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("older.txt")
"""Path of the documentation."""


@dataclass(frozen=True)
class Snippet:
    """A fenced code block."""

    heading: str
    """Text of the nearest heading above it."""
    language: str
    """Language of the fence, or an empty string."""
    text: str
    """Content of the block."""
    line: int
    """Line number of its first line in the page, from 1."""

    def execute(self, text: str | None = None, **variables: Any) -> dict[str, Any]:
        """Executes the block as Python, with `variables` as additional globals, and returns its globals.

        `text` replaces the block's text where a placeholder had to be filled in. Tracebacks show lines of the page.
        """
        scope = {"__name__": "__main__", **variables}
        code = "\n" * (self.line - 1) + (self.text if text is None else text)
        exec(compile(code, str(PAGE), "exec", dont_inherit=True), scope)
        return scope


def snippets(page: str | None = None) -> list[Snippet]:
    """Returns all code blocks of a page (by default of `PAGE`), in order."""
    lines = (PAGE.read_text(encoding="utf-8") if page is None else page).splitlines()
    found = []
    heading, language, start = "", None, 0
    for number, line in enumerate(lines):
        if line.startswith("```"):
            if language is None:
                language, start = line[3:].strip(), number + 1
            else:
                text = "".join(f"{row}\n" for row in lines[start:number])
                found.append(Snippet(heading, language, text, start + 1))
                language = None
        elif language is None and line.startswith("#"):
            heading = line.lstrip("#").strip()
    if language is not None:
        raise ValueError(f"line {start}: the code block is not closed")
    return found


def snippet(heading: str, language: str) -> Snippet:
    """Returns the only code block in `language` under `heading`; raises LookupError if there is none or several."""
    found = [s for s in snippets() if (s.heading, s.language) == (heading, language)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} {language} blocks under '{heading}' in {PAGE.name}; expected one")
    return found[0]
