"""How the report speaks of the regulatory regime of a run."""

from __future__ import annotations

from multiscale.planning.regimes import REGIMES, Regime
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.numbers import euros, percent


def regime_of(result: RunResult) -> type[Regime]:
    """The regime of a run; the first of the registry where a run folder says nothing."""
    return REGIMES[str(result.config().get("regime", {}).get("kind", next(iter(REGIMES))))]


def regulation_words(result: RunResult) -> list[str]:
    """What the regime leaves the operators with, and, where least social cost is another plan, how far the regime's is from it."""
    profit, earned, base = (result.value(f"regulation.planned.{key}") for key in ("profit", "return_on_asset_base", "asset_base"))
    if profit is None:
        return []
    rate = "" if earned is None else f", a return of {percent(earned)} on an asset base of {euros(base)}"
    words = [f"profit {euros(profit, True)}{rate}"]
    if missing := result.value("regulation.social.missing"):
        return [*words, f"is not compared with the plan of least social cost: {missing}"]
    loss, most, excess = (result.value(f"regulation.social.{key}") for key in ("welfare_loss", "welfare_loss_at_most", "excess_annuity"))
    if loss is None:
        return words
    bias = result.value("regulation.social.capex_bias")
    share = "" if bias is None else f" ({percent(bias)})"
    more = "as much as" if abs(excess) < 0.005 else f"{euros(abs(excess), True)} {'more' if excess > 0 else 'less'} than"
    built = f"spends {more} the plan of least social cost on reinforcement{share if abs(excess) >= 0.005 else ''}"
    if loss < -0.005:
        return [*words, f"{built}; its plan costs society {euros(-loss, True)} less, as its prices need not recover the whole cost"]
    return [*words, f"{built}; its plan costs society {euros(max(loss, 0.0), True)} more, proven to be at most {euros(max(most, 0.0), True)}"]
