"""Pages that are written at every build, from the code and from the files of the studies, into ``docs/generated``."""

import argparse
import os
import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

from multiscale.cli.command import Command
from multiscale.cli.commands import COMMANDS
from multiscale.config import load_config
from multiscale.mathematics.document import study_equations
from multiscale.mathematics.written import as_markdown

EQUATIONS_OF = "study=incentive_schemes"

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")


def commands_page() -> str:
    """Every command with its arguments, as ``multiscale COMMAND --help`` shows them."""
    return "\n\n".join(["# Commands", "Written from the table of commands (`multiscale.cli.commands`).", *map(_command, COMMANDS)])


def _command(command: Command) -> str:
    parser = argparse.ArgumentParser(f"multiscale {command.name}", formatter_class=lambda prog: argparse.HelpFormatter(prog, width=110))
    command.arguments(parser)
    parser.epilog = None
    does = command.does[0].upper() + command.does[1:]
    return f"## {command.name}\n\n{does}.\n\n```text\n{parser.format_help().strip()}\n```"


def decisions_page() -> str:
    """All decision records, by title."""
    lines = ["# Decision records", "Why the engine is built as it is, one page each.", "```{toctree}", ":maxdepth: 1", ""]
    return "\n".join([*lines[:2], "", *lines[2:], *(f"/adr/{path.stem}" for path in sorted((DOCS / "adr").glob("*.md"))), "```"])


def study_page(readme: Path) -> str:
    """The text of a study, with its links seen from the page; what lies outside the documents is named without a link."""

    def seen(link: re.Match[str]) -> str:
        target = (readme.parent / link[1]).resolve()
        if target.parent.parent == ROOT / "studies" and target.name == "README.md":
            return f"]({target.parent.name}.md{link[2] or ''})"
        if target.is_relative_to(DOCS):
            return f"]({os.path.relpath(target, DOCS / 'generated' / 'studies')}{link[2] or ''})"
        return "]"

    return _LINK.sub(seen, readme.read_text(encoding="utf-8"))


def _links_of_the_repository(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Links from a page to a folder or to a study, which have pages of their own on the site."""
    text = source[0].replace("](adr/)", "](generated/decisions.md)")
    source[0] = re.sub(r"\]\(\.\./studies/(\w+)/README\.md", r"](generated/studies/\1.md", text)


def equations_page() -> str:
    """The equations of a study with devices, a network that binds, options, and a leader."""
    sections = study_equations(load_config([EQUATIONS_OF]))
    head = f"# Equations as they are solved\n\nWritten from the programs of `{EQUATIONS_OF}`; `multiscale math` does the same for any study."
    limits = "Not among them: what mechanisms solve on the way to an agreement, and the forms into which methods bring the plan ([bilevel](../bilevel.md))."
    checked = "A test makes the matrices again from these equations alone and compares them with those that are solved; symbols are named where rows are built."
    return f"{head}\n{limits}\n{checked}\n\n{as_markdown(sections)}"


def write_pages(_app: Sphinx) -> None:
    """Write all pages; one that has not changed keeps its time, so that it is not read again."""
    folder = DOCS / "generated"
    pages = {folder / "commands.md": commands_page(), folder / "equations.md": equations_page(), folder / "decisions.md": decisions_page()}
    for readme in sorted((ROOT / "studies").glob("*/README.md")):
        pages[folder / "studies" / f"{readme.parent.name}.md"] = study_page(readme)
    if folder.is_dir():
        for old in set(folder.rglob("*.md")) - set(pages):
            old.unlink()
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    shutil.copyfile(ROOT / "CHANGELOG.md", folder / "changelog.md")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before any is read."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", _links_of_the_repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
