"""Cost-benefit analysis of options against a baseline: net present values, deferral values, break-even price of flexibility.

An option is paid for by its assets, when they are built and again whenever they are worn out, and by a yearly cost that stays what it is in the year
that was operated. Nothing is credited for what is left of an asset at the end, so over a short horizon an investment has to pay for itself by then:

    PV_n  =  sum over assets of I (1 + v^L + v^(2L) + ...)  +  yearly (v + ... + v^n)        v = 1/(1 + r), exponents below n
    NPV_n =  PV_n of the baseline - PV_n of the option

Where n is a multiple of every lifetime, NPV_n is the yearly difference of the costs with annuities, times v + ... + v^n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

APPRAISAL_YEARS = (5, 10, 20, 45)
"""Horizons of the appraisal [a]."""


@dataclass(frozen=True)
class Asset:
    """What is built or bought: cost [EUR], lifetime [a]."""

    cost: float
    lifetime: float


@dataclass(frozen=True)
class PlanOption:
    """One way to plan.

    Attributes:
        assets: what it takes.
        yearly: all other real costs [EUR/a].
    """

    assets: Sequence[Asset]
    yearly: float


def present_value(option: PlanOption, years: int, rate: float) -> float:
    """Present value of all costs over so many years [EUR]; yearly costs fall due at the end of each year.

    Args:
        option: what is paid.
        years: horizon [a].
        rate: discount rate [1/a].
    """
    assets = sum(asset.cost * float(((1.0 + rate) ** -np.arange(0.0, years, asset.lifetime)).sum()) for asset in option.assets)
    return assets + option.yearly * annuity_factor(years, rate)


def annuity_factor(years: int, rate: float) -> float:
    """Present value of 1 EUR/a over so many years, v + ... + v^n [a]."""
    return float(((1.0 + rate) ** -np.arange(1.0, years + 1.0)).sum())


def net_present_value(option: PlanOption, baseline: PlanOption, years: int, rate: float) -> float:
    """What the option saves against the baseline, as a present value [EUR]; negative where it costs more."""
    return present_value(baseline, years, rate) - present_value(option, years, rate)


def deferral_value(investment: float, years: int, rate: float) -> float:
    """What it is worth to invest so many years later [EUR]: ``I (1 - v^n)``."""
    return investment * (1.0 - (1.0 + rate) ** -years)


def break_even_price(annuity: float, energy: float) -> float:
    """Price of flexibility at which relieving a branch costs what reinforcing it costs [EUR/kWh]; NaN where nothing is to be relieved.

    Args:
        annuity: of the reinforcement [EUR/a].
        energy: above the usable rating, in a year without response [kWh/a].
    """
    return annuity / energy if energy > 0 else float("nan")
