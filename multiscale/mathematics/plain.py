"""The small part of LaTeX that the equations use, as plain text for a terminal and as MathML for a page."""

from __future__ import annotations

import html
import re

SIGNS = {
    "Delta": "Δ", "eta": "η", "lambda": "λ", "kappa": "κ", "rho": "ρ", "le": "≤", "ge": "≥", "in": "∈", "forall": "∀", "sum": "Σ", "min": "min",
    "quad": " ", ",": " ", ";": " ",
}  # fmt: skip
"""Command -> sign."""

NARROW = "\u00a0"
"""Blank between the words of a name."""

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}_^]|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\u00a0|\s+|:=|\.\.|.")


def plain(latex: str) -> str:
    """Text for a terminal: indices in square brackets."""
    text = re.sub(r"\\(?:mathrm|mathcal)\{([^{}]*)\}", lambda found: found[1].replace(" ", "_"), latex)
    text = re.sub(r"\\bar\s*(\w)", r"\1*", text)
    text = re.sub(r"_\{([^{}]*)\}", r"[\1]", text)
    text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", text)
    text = re.sub(r"\\([A-Za-z]+|.)", lambda found: SIGNS.get(found[1], found[1]), text)
    return re.sub(r"\s+", " ", text).strip()


def mathml(latex: str) -> str:
    """A displayed equation as MathML."""
    # Blanks separate tokens, but those between the words of a name stay.
    kept = re.sub(r"\\mathrm\{([^{}]*)\}", lambda found: rf"\mathrm{{{found[1].replace(' ', NARROW)}}}", latex)
    tokens = [token for token in _TOKEN.findall(kept) if token == NARROW or not token.isspace()]
    items, rest = _row(tokens)
    if rest:
        raise ValueError(f"unbalanced braces in {latex!r}")
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow>{"".join(items)}</mrow></math>'


def _row(tokens: list[str]) -> tuple[list[str], list[str]]:
    """Elements up to the brace that closes, and what follows it."""
    items: list[str] = []
    while tokens:
        token, tokens = tokens[0], tokens[1:]
        if token == "}":
            return items, tokens
        if token in "_^":
            script, tokens = _argument(tokens)
            base = items.pop() if items else "<mrow></mrow>"
            tag = "munder" if "Σ" in base else "msub" if token == "_" else "msup"
            items.append(f"<{tag}>{base}{script}</{tag}>")
        else:
            element, tokens = _element(token, tokens)
            items.append(element)
    return items, tokens


def _argument(tokens: list[str]) -> tuple[str, list[str]]:
    if not tokens:
        raise ValueError("an argument is missing")
    if tokens[0] != "{":
        return _element(tokens[0], tokens[1:])
    items, rest = _row(tokens[1:])
    return f"<mrow>{''.join(items)}</mrow>", rest


def _element(token: str, tokens: list[str]) -> tuple[str, list[str]]:
    if token == "{":
        items, tokens = _row(tokens)
        return f"<mrow>{''.join(items)}</mrow>", tokens
    if token in (r"\mathrm", r"\mathcal"):
        end = tokens.index("}")
        style = "normal" if token == r"\mathrm" else "script"
        return f'<mi mathvariant="{style}">{html.escape("".join(tokens[1:end]))}</mi>', tokens[end + 1 :]
    if token == r"\bar":
        base, tokens = _argument(tokens)
        return f"<mover>{base}<mo>¯</mo></mover>", tokens
    if token == r"\frac":
        above, tokens = _argument(tokens)
        below, tokens = _argument(tokens)
        return f"<mfrac>{above}{below}</mfrac>", tokens
    if token.startswith("\\"):
        sign = SIGNS.get(token[1:])
        if sign is None:
            raise ValueError(f"{token} is no command that the equations use")
        return ("<mspace width='0.6em'/>" if sign == " " else f"<mi>{sign}</mi>" if sign.isalpha() and sign != "Σ" else f"<mo>{sign}</mo>"), tokens
    if token[0].isdigit():
        return f"<mn>{token}</mn>", tokens
    return (f"<mi>{token}</mi>" if token.isalpha() else f"<mo>{html.escape(token)}</mo>"), tokens
