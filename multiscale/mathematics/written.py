"""The equations of a study written out: for a terminal, as a LaTeX document, as a page that opens offline, and as Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from multiscale.mathematics import latex
from multiscale.mathematics.document import Section
from multiscale.mathematics.equations import Equation, Stated
from multiscale.mathematics.plain import mathml, plain
from multiscale.mathematics.structure import Value


@dataclass(frozen=True)
class Entry:
    """One formula, with what has to be known of it.

    Attributes:
        title: name of the family and what it is.
        formula: LaTeX.
        facts: sets, units, number of rows, symbols, and where it stands in the code.
    """

    title: str
    formula: str
    facts: tuple[str, ...]


Chapter = tuple[str, str, list[Entry], tuple[str, ...]]
"""Title, note, entries, lines of text."""


def chapters(sections: Sequence[Section]) -> list[Chapter]:
    """What is written, whatever the form."""
    return [(one.title, one.note, list(_entries(one)), one.lines) for one in sections]


def _entries(section: Section) -> Iterator[Entry]:
    yield from _objectives(section.programs)
    yield from _families(section)
    yield from _outputs(section.programs)
    yield from _variables(section.programs)


def _objectives(programs: Sequence[Stated]) -> Iterator[Entry]:
    alike: dict[str, list[Stated]] = {}
    for program in programs:
        alike.setdefault(latex.objective(program), []).append(program)
    for formula, same in alike.items():
        first = same[0]
        symbols = [_symbol(v.cost, f"cost of {v.block.name}", f"EUR/{v.block.unit}", "c") for v in first.variables if v.cost.dims or v.cost.named]
        symbols += [_symbol(t.value, f"factor of {t.columns.name} and {t.rows.name}", "", "a") for t in first.payments]
        constant = [f"and a constant of {first.constant:,.2f} EUR/a that nothing decides"] if first.constant else []
        yield Entry(f"objective ({_counted(same)})", formula, (*dict.fromkeys(symbols), *constant, "EUR per year"))


def _counted(programs: Sequence[Stated]) -> str:
    names = list(dict.fromkeys(program.name for program in programs))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _families(section: Section) -> Iterator[Entry]:
    for family in section.families:
        equation = family.equation
        counted = f"{family.rows:,} rows in {family.programs} program{'s' if family.programs > 1 else ''}"
        yield Entry(_titled(equation), latex.equation(equation), (*_facts(equation), counted, equation.place))


def _outputs(programs: Sequence[Stated]) -> Iterator[Entry]:
    seen: dict[tuple[str, str], Equation] = {}
    for program in programs:
        for output in program.outputs:
            seen.setdefault((output.block.name, latex.equation(output)), output)
    for (_, formula), output in seen.items():
        yield Entry(f"output {_titled(output)}", formula, (*_facts(output), output.place))


def _variables(programs: Sequence[Stated]) -> Iterator[Entry]:
    seen: dict[str, Entry] = {}
    for program in programs:
        for one in program.variables:
            text = one.block.description or one.block.name.replace("_", " ")
            facts = (_sets(one.block.coords), f"[{one.block.unit}]", one.place)
            entry = Entry(f"variable {one.block.name}: {text}", latex.bounds(one.lower, one.upper, one.block), facts)
            seen.setdefault(one.block.name, entry)
        for block in program.parameters:
            text = f"parameter {block.name}: {block.description or block.name.replace('_', ' ')}"
            facts = (_sets(block.coords), f"[{block.unit}]", "decided by others")
            seen.setdefault(f"parameter {block.name}", Entry(text, latex.member(block), facts))
    yield from seen.values()


def _titled(equation: Equation) -> str:
    return f"{equation.block.name}: {equation.block.description}" if equation.block.description else equation.block.name


def _facts(equation: Equation) -> Iterator[str]:
    yield _sets(equation.block.coords)
    yield f"[{equation.block.unit}]"
    terms = [*equation.terms, *equation.parameters]
    found = [_symbol(t.value, f"coefficient of {t.columns.name}", "", "a") for t in terms if t.value.named or t.value.dims]
    if equation.rhs.named or equation.rhs.dims:
        found.append(_symbol(equation.rhs, "right-hand side", equation.block.unit, "b"))
    yield from dict.fromkeys(found)
    for term in terms:
        if not term.everywhere:
            yield f"[ {term.columns.name} ]: in {len(term.present):,} of {equation.block.size:,} rows, where there is one"
        if term.summed and not term.over_all:
            yield f"{', '.join(term.summed)} of {term.columns.name}: those that belong to the row's {', '.join(term.keyed_by) or 'family'}"


def _sets(coords: object) -> str:
    sets = [f"{latex.index_of(dim)}: {dim.replace('_', ' ')} ({len(labels)})" for dim, labels in coords.items()]  # type: ignore[attr-defined]
    return "; ".join(sets) or "one"


def _symbol(value: Value, otherwise: str, unit: str, letter: str) -> str:
    """Symbol, meaning, unit and range of a coefficient."""
    symbol = plain(value.named.symbol.replace("@", "").lstrip("-") if value.named else letter)
    meaning, unit = (value.named.meaning, value.named.unit) if value.named else (otherwise, unit)
    low, high = value.lowest, value.highest
    if value.named and value.named.symbol.startswith("-"):
        low, high = -high, -low
    numbers = f"{low:.6g}" if f"{low:.6g}" == f"{high:.6g}" else f"{low:.4g} to {high:.4g}"
    return f"{symbol}: {meaning}, {numbers}{' ' + unit if unit and unit != '1' else ''}"


def as_text(sections: Sequence[Section]) -> str:
    """For a terminal."""
    lines: list[str] = []
    for title, note, entries, more in chapters(sections):
        lines += [title, "=" * len(title), *note.splitlines(), ""]
        for entry in entries:
            lines += [entry.title, f"    {plain(entry.formula)}", *(f"      {fact}" for fact in entry.facts), ""]
        lines += [*(f"    {line}" for line in more), ""] if more else []
    return "\n".join(lines)


def as_latex(sections: Sequence[Section]) -> str:
    """A document that any LaTeX compiles."""
    lines = [r"\documentclass{article}", r"\usepackage{amsmath}", r"\usepackage[margin=2cm]{geometry}", r"\begin{document}"]
    for title, note, entries, more in chapters(sections):
        lines += [rf"\section{{{_escaped(title)}}}", r"\begin{verbatim}", note, r"\end{verbatim}"]
        for entry in entries:
            facts = r"; ".join(_escaped(fact) for fact in entry.facts)
            lines += [rf"\paragraph{{{_escaped(entry.title)}}}", rf"\begin{{multline*}}{entry.formula}\end{{multline*}}", rf"{{\small {facts}}}"]
        lines += [r"\begin{verbatim}", *more, r"\end{verbatim}"] if more else []
    return "\n".join([*lines, r"\end{document}", ""])


def _escaped(text: str) -> str:
    signs = {"η": r"$\eta$", "Δ": r"$\Delta$", "λ": r"$\lambda$", "κ": r"$\kappa$", "ρ": r"$\rho$", "^": r"\^{}", "\\": r"\textbackslash{}"}
    return "".join(signs.get(sign, f"\\{sign}" if sign in "_&%$#{}" else sign) for sign in text)


def as_html(sections: Sequence[Section]) -> str:
    """A page that opens without a network connection."""
    style = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}h3{margin:1.6rem 0 .2rem;font-size:1rem}"
    style += ".f{overflow-x:auto;padding:.3rem 0}ul{margin:.2rem 0;color:#444;font-size:.9rem}pre{white-space:pre-wrap}"
    body = []
    for title, note, entries, more in chapters(sections):
        body += [f"<h2>{html.escape(title)}</h2>", f"<pre>{html.escape(note)}</pre>"]
        for entry in entries:
            facts = "".join(f"<li>{html.escape(fact)}</li>" for fact in entry.facts)
            body.append(f'<h3>{html.escape(entry.title)}</h3><div class="f">{mathml(entry.formula)}</div><ul>{facts}</ul>')
        body += [f"<pre>{html.escape(chr(10).join(more))}</pre>"] if more else []
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Equations</title><style>{style}</style></head>'
    return f"{head}<body><h1>Equations as they are solved</h1>{''.join(body)}</body></html>"


def as_markdown(sections: Sequence[Section]) -> str:
    """For the documentation site."""
    lines: list[str] = []
    for title, note, entries, more in chapters(sections):
        lines += [f"## {title}", "", "```text", note, "```", ""]
        for entry in entries:
            lines += [f"**{entry.title}**", "", "$$", entry.formula, "$$", "", *(f"- {_quiet(fact)}" for fact in entry.facts), ""]
        lines += ["```text", *more, "```", ""] if more else []
    return "\n".join(lines)


def _quiet(text: str) -> str:
    """Text without signs that Markdown reads."""
    return "".join(f"\\{sign}" if sign in "*_[]<>`$" else sign for sign in text)


FORMS = {"terminal": as_text, "latex": as_latex, "html": as_html, "markdown": as_markdown}
"""Form -> what writes it."""
