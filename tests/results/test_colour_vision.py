"""Colours that alone tell things apart are far apart for readers with deuteranopia and protanopia too; loading is darker where higher.

Simulation: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency, IEEE
Trans. Vis. Comput. Graph. 15 (2009) 1291-1298, full severity, in linear RGB. Distances: CIE 1976 in L*a*b*, in which 2.3 is just noticeable when
colours lie side by side.
"""

from __future__ import annotations

from itertools import combinations

import matplotlib.colors as colors
import numpy as np
import pytest

from multiscale.results.figures import maps, style

VISION = {
    "full colour vision": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}
APART = 20.0
"""Least distance of two colours that nothing else tells apart: nine times what is just noticeable, since they do not lie side by side."""

LINES = [style.OPERATED, style.INTEGRATED, style.FORECAST]
TOGETHER = {
    "kinds of customers": list(style.CUSTOMERS.values()),
    "what is operated, integrated and forecast": LINES,
    "before and after": [style.BEFORE, style.AFTER],
    "flows of money without a hatch": [colour for colour, hatch in style.FLOWS.values() if not hatch],
    "inside and outside of the voltage band on the map": ["#ffffff", style.RED],
}


def lab(rgb, vision):
    """L*a*b* of sRGB colours, (colour, 3) between 0 and 1, as they are seen."""
    rgb = np.atleast_2d(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISION[vision].T, 0.0, 1.0)
    xyz = seen @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def test_distances_are_those_of_the_standard():
    """White is (100, 0, 0), black (0, 0, 0); readers with deuteranopia hardly tell a red and a green that others do."""
    np.testing.assert_allclose(lab(np.array([[1.0, 1, 1], [0, 0, 0]]), "full colour vision"), [[100, 0, 0], [0, 0, 0]], atol=0.02)
    red_and_green = np.array([colors.to_rgb("#a52a2a"), colors.to_rgb("#4f6b1f")])
    apart = {vision: np.linalg.norm(np.subtract(*lab(red_and_green, vision))) for vision in VISION}
    assert apart["full colour vision"] > 50 > 20 > apart["deuteranopia"]


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("what", TOGETHER)
def test_colours_used_together_are_far_apart(what, vision):
    seen = lab(np.array([colors.to_rgb(c) for c in TOGETHER[what]]), vision)
    near = {(TOGETHER[what][i], TOGETHER[what][j]): np.linalg.norm(seen[i] - seen[j]) for i, j in combinations(range(len(seen)), 2)}
    assert min(near.values()) >= APART, near


@pytest.mark.parametrize("vision", VISION)
def test_loading_is_told_by_lightness_and_the_rating_by_a_jump(vision):
    """Up to the rating lightness falls all the way, beyond it too; just below and just above are far apart, as is what is not known from 120 %."""
    look = maps.loading_colours(160.0)

    def at(*loading):
        return lab(look.to_rgba(np.array(loading))[:, :3], vision)

    below, above = at(*np.linspace(0, 99, 100)), at(*np.linspace(101, 160, 60))
    assert (np.diff(below[:, 0]) < 0.05).all()
    assert (np.diff(above[:, 0]) < 0.05).all()
    assert np.linalg.norm(np.subtract(*at(99.0, 101.0))) >= 2 * APART
    # Over half the range the colours differ far more than what can just be noticed.
    assert np.linalg.norm(np.subtract(*at(20.0, 80.0))) >= APART
    assert np.linalg.norm(lab(np.array(colors.to_rgb("#9ca3af")), vision) - at(120.0)) >= APART
