"""The plan of a year with its operation, made anew under tighter limits as long as its AC power flow violates limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import Operation
from multiscale.pipeline.operation import real_purchases
from multiscale.pipeline.stages import Artefact
from multiscale.pipeline.study_stages import Above, Study
from multiscale.pipeline.transmission_plan import restrictions
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.distribution_planning import planned_limits
from multiscale.planning.persistence import Restriction
from multiscale.planning.repair import Repaired, Violations, repaired
from multiscale.results.data.answer_data import StudyCase
from multiscale.results.run.run_folder import NoAnswerError
from multiscale.system import LoadingLimits
from multiscale.verification.ac import Verification
from multiscale.verification.outages import OutageCheck
from multiscale.verification.violations import outage_violations, violations_of


@dataclass(frozen=True)
class Made:
    """A plan with its operation, under the limits of its case.

    Attributes:
        case: under the limits.
        plans: DSO -> plan.
        bought: new capacity of prosumers.
        operation: of the headline scenario.
        verified: DSO -> AC power flow of its periods.
        violations: what a repair looks at.
        outages: DSO -> the same under single outages; None where that was not looked at, since limits are violated without one.
        in_full: whether it was operated in full.
    """

    case: Artefact[StudyCase]
    plans: Mapping[str, Plan]
    bought: Bought
    operation: Artefact[Operation]
    verified: Mapping[str, Verification]
    violations: Violations
    outages: Mapping[str, OutageCheck] | None
    in_full: bool


def repaired_plan(
    study: Study, above: Above, operations: Mapping[str, Artefact[Operation]], linked: Mapping[str, Plan], before: Mapping[str, Plan]
) -> Repaired[Made]:
    """The plan that stands, operated in full and checked under single outages, and how it came about.

    Args:
        study: whose stages.
        above: what planning goes by.
        operations: scenarios without coordination, by name.
        linked: DSO -> plan that was made with those of the other years.
        before: DSO -> plan of the year before, which this one keeps.

    Raises:
        NoAnswerError: there is no plan under the limits of the case, or none was found in time.
    """
    rounds = _Rounds(study, above, operations, linked, before)
    case = above.case.value
    found = repaired(case.system, case.limits, rounds.made, lambda made: made.violations, rounds=study.repair_rounds)
    return replace(found, state=rounds.finished(found.state))


class _Rounds:
    """Plans under one set of limits after the other; arguments as of ``repaired_plan``."""

    def __init__(
        self, study: Study, above: Above, operations: Mapping[str, Artefact[Operation]], linked: Mapping[str, Plan], before: Mapping[str, Plan]
    ) -> None:
        self.study, self.above, self.operations, self.linked = study, above, operations, linked
        self.kept = {dso: Restriction(frozenset(o for o, yes in plan.built.items() if yes)) for dso, plan in before.items()}
        # The first plans are those of the joint plan; under tighter limits more may be built.
        self.joint = {} if above.plan is None else restrictions(above.plan)
        self.kept |= {dso: Restriction(one.required) for dso, one in self.joint.items()}
        self.repairs = study.repair_rounds > 0
        self._plans: dict[str, Mapping[str, Plan]] = {}
        self._operated_in_full = False
        # The first solves start where those of prosumers on their own at one flat price ended.
        self._latest: Artefact[Operation] = operations["existing"]

    def made(self, limits: LoadingLimits) -> Made:
        """The plan under some limits, operated and checked.

        Raises:
            NoAnswerError, NoPlanError: there is none, or none was found in time: under the limits of the case, or under tighter ones.
        """
        study = self.study
        case = study.tightened(self.above.case, limits)
        known = len(self._plans)
        plans = self._planned(limits)
        # What a repair looks at are exchanges and injections: references are found for the plan that stands. One that is not made anew under tighter
        # limits is expected to stand; once, if it does not, they are found in vain.
        in_full = not self.repairs or (len(self._plans) == known and not self._operated_in_full)
        self._operated_in_full |= in_full
        bought: Bought = real_purchases({p: sizes for plan in plans.values() for p, sizes in plan.bought.items()})
        design = study.design(study.headline, plans, self.operations, self.above.plan)
        operation = study.operate(study.headline, case, self.above.expected, design, bought, in_full=in_full, keep_bases=True, near=self._latest)
        self._latest = operation
        verified = study.verify(study.headline, case, operation)
        return self._checked(Made(case, plans, bought, operation, verified, Violations(), None, in_full))

    def _planned(self, limits: LoadingLimits) -> Mapping[str, Plan]:
        """Plans under some limits; those inside platforms that planning does not see leave its problem as it is."""
        study, above = self.study, self.above
        seen = study.tightened(above.case, planned_limits(above.case.value.system, limits))
        if seen.key not in self._plans:
            first = seen is above.case
            latest = next(reversed(self._plans.values()), {})
            try:
                self._plans[seen.key] = study.plan(
                    seen, above.expected, self.linked if first else {}, self.kept | (self.joint if first else {}), latest
                )
            except NoAnswerError as error:
                if first:
                    raise
                raise NoPlanError(error.status, str(error)) from error
        return self._plans[seen.key]

    def _checked(self, made: Made) -> Made:
        """With what the AC power flow violates: under single outages where it violates nothing without."""
        system, found = made.case.value.system, Violations()
        operation = made.operation.value
        built = operation.design.options(system.options)
        for dso, verification in made.verified.items():
            found = found.joined(violations_of(system, dso, verification, operation.injections(dso), built))
        if len(found):
            return replace(made, violations=found)
        outages = self.study.outages(made.case, made.operation, made.verified)
        for dso, check in outages.items():
            found = found.joined(outage_violations(system, dso, check, made.verified[dso], built))
        return replace(made, violations=found, outages=outages)

    def finished(self, made: Made) -> Made:
        """The plan that stands, operated in full and checked under single outages."""
        study = self.study
        if not made.in_full:
            near, design = made.operation, made.operation.value.design
            operation = study.operate(study.headline, made.case, self.above.expected, design, made.bought, in_full=True, keep_bases=True, near=near)
            # What was found under AC for the same injections holds.
            same = all(operation.value.injections(dso).equals(near.value.injections(dso)) for dso in made.verified)
            made = replace(made, operation=operation, in_full=True)
            if not same:
                made = replace(made, verified=study.verify(study.headline, made.case, operation), outages=None)
        if made.outages is None:
            made = replace(made, outages=study.outages(made.case, made.operation, made.verified))
        return made
