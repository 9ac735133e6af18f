"""How the report speaks of the regulatory regime of a run."""

from __future__ import annotations

from multiscale.planning.regimes import REGIMES, ComparingRegime, Regime, Social
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.numbers import amount, euros, percent

ROUNDING_EUR = 0.005
"""Half a cent a year: less than this is rounding of the linear programs [EUR/a]."""


def regime_of(result: RunResult) -> type[Regime]:
    """The regime of a run; the first of the registry where a run folder says nothing."""
    return REGIMES[str(result.config().get("regime", {}).get("kind", next(iter(REGIMES))))]


def follows_profit(result: RunResult) -> bool:
    """Whether the plan is that of an operator who maximises a profit, not of least social cost."""
    return not issubclass(regime_of(result), Social)


def nothing_pays(result: RunResult) -> str:
    """Why nothing is built."""
    return "no reinforcement pays" + (" for the operator" if follows_profit(result) else "")


def objective_words(result: RunResult, objective: float, bound: float | None, unit: str = "EUR/a") -> tuple[str, str, str]:
    """What the objective of plans is called, its value, and what its bound says (empty without one): of profits with their sign, not as losses."""
    profit = follows_profit(result)
    sign, more = (-1.0, "earns the operator more than") if profit else (1.0, "costs less than")
    if issubclass(regime_of(result), ComparingRegime):
        more = "earns the operators, each while the others keep theirs, more than"

    def money(value: float) -> str:
        return euros(sign * value, True) if unit == "EUR/a" else amount(sign * value, unit)

    return "profit of the operator" if profit else regime_of(result).called, money(objective), "" if bound is None else f"{more} {money(bound)}"


def gap_share(result: RunResult) -> tuple[float | None, str]:
    """The gap of the plan as a share of what decisions move, else of the operators' revenue where they maximise a profit (it may be near zero)."""
    moved, gap, revenue = (result.value(f"plan.{key}") for key in ("gap_of_decisions", "gap_eur", "revenue"))
    if moved is None and follows_profit(result) and gap is not None and revenue is not None and revenue > 0:
        return gap / revenue, "of the revenue"
    return moved, "of what decisions move"


def years_of(result: RunResult) -> list[str]:
    """The years that were studied, where there are several."""
    return list(dict.fromkeys(key.split(".")[1] for key in result.summary if key.startswith("years.")))


def regulation_words(result: RunResult) -> list[str]:
    """What the regime leaves the operators with, and, where least social cost is another plan, how far the regime's is from it."""
    profit, earned, base = (result.value(f"regulation.planned.{key}") for key in ("profit", "return_on_asset_base", "asset_base"))
    if profit is None:
        return []
    rate = "" if earned is None else f", a return of {percent(earned)} on an asset base of {euros(base)}"
    paid = float(result.value("regulation.planned.payment") or 0.0)
    incentives = f"; supplier and state pay it {euros(paid, True)} in incentives" if paid >= ROUNDING_EUR else ""
    penalties = f"; it pays supplier and state {euros(-paid, True)} in penalties" if paid <= -ROUNDING_EUR else ""
    words = [f"profit {euros(profit, True)}{rate}{incentives}{penalties}{_carried_forward(result)}"]
    gains = [float(value) for key, (value, _) in result.summary.items() if key.startswith("regulation.yardstick.largest_gain.")]
    if gains and result.value("stages.cost") is None:
        words.append(f"gains at most {euros(max(gains), True)} by another plan while the other operators keep theirs")
    if missing := result.value("regulation.social.missing"):
        return [*words, f"is not compared with the plan of least social cost: {missing}"]
    loss, most, excess = (result.value(f"regulation.social.{key}") for key in ("welfare_loss", "welfare_loss_at_most", "excess_annuity"))
    if loss is None:
        return words
    bias = result.value("regulation.social.capex_bias")
    share = "" if bias is None else f" ({percent(bias)})"
    more = "as much as" if abs(excess) < ROUNDING_EUR else f"{euros(abs(excess), True)} {'more' if excess > 0 else 'less'} than"
    built = f"spends {more} the plan of least social cost on reinforcement{share if abs(excess) >= ROUNDING_EUR else ''}"
    if loss < -ROUNDING_EUR:
        # Below the proven bound only other prices lead; above it that plan may be missed by its gap.
        why = "as its prices need not recover exactly the cost" if most < -ROUNDING_EUR else "which is within what is proven of the least"
        return [*words, f"{built}; its plan costs society {euros(-loss, True)} less, {why}"]
    return [*words, f"{built}; its plan costs society {euros(max(loss, 0.0), True)} more, proven to be at most {euros(max(most, 0.0), True)}"]


def _carried_forward(result: RunResult) -> str:
    """What is collected beyond what is allowed, or less, where it is more than the tolerance of cost recovery: it is no part of the profit."""
    allowed, balance = (float(result.value(f"regulation.planned.{key}") or 0.0) for key in ("allowed", "balance"))
    tolerance = float(result.config().get("planning", {}).get("recovery_tolerance", 0.0))
    if abs(balance) <= tolerance * abs(allowed) + ROUNDING_EUR:
        return ""
    if balance < 0:
        return f"; prices collect {euros(-balance, True)} more than is allowed, which the regulatory account owes to customers and is not profit"
    return f"; prices collect {euros(balance, True)} less than is allowed, which customers owe to the regulatory account and is counted as income"
