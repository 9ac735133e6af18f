"""Brute force: every set of options, and for each of them every charge, exactly."""

from __future__ import annotations

import itertools

import numpy as np

from multiscale.programs import CompiledProgram


class Enumeration:
    """The best decision over all sets of options and all charges of a range.

    For a set of options, the follower's cost is a concave piecewise linear function of the charge, with the charged energy as slope. Its
    corners are found by intersecting tangents; between corners the energy is constant, and at a corner any mix of both sides is a
    best answer, of which the leader may take the one it likes.
    """

    def __init__(self, problem, tolerance):
        component = problem.tariff.components[problem.single_price]
        self.problem, self.range, self.tolerance = problem, (component.price_min, component.price_max), tolerance
        self.passive_energy = float(problem.passive[problem.single_price])
        self.compiled = CompiledProgram(problem.program)
        ends = [tuple({float(r), 1.0 - e}) for r, e in zip(problem.required.tolist(), problem.excluded.tolist(), strict=True)]
        self.values = {z: self._best_of(np.array(z)) for z in itertools.product(*ends)}
        self.best = min(self.values.values())

    def answer(self, built, charge):
        """Objective, charged energy and resource cost of the follower."""
        solution = self.compiled.solve_optimal({"built": built, "network_charge": charge})
        program = self.problem.program
        energy, resource = (float((program.outputs[n].matrix @ solution.x)[0]) for n in ("billed network_charge", "resource_cost"))
        return solution.objective, energy, resource

    def _corners(self, built, low, high):
        """Pieces (from, to, energy, resource) in order of the charge."""
        (v0, e0, r0), (v1, e1, r1) = self.answer(built, low), self.answer(built, high)
        if abs(e0 - e1) < 1e-6 * max(abs(e0), 1.0):
            return [(low, high, e0, r0)]
        cross = (v1 - e1 * high - v0 + e0 * low) / (e0 - e1)
        value = self.answer(built, cross)[0]
        on_both = v0 + e0 * (cross - low)
        if value >= on_both - 1e-9 * abs(on_both) or not low + 1e-9 < cross < high - 1e-9:
            return [(low, cross, e0, r0), (cross, high, e1, r1)]
        return self._corners(built, low, cross) + self._corners(built, cross, high)

    def _best_of(self, built):
        problem = self.problem
        allowed = problem.existing_cost + float(problem.annuity @ built)
        fixed = float(problem.annuity @ built) + problem.program.d0 + problem.constant
        pieces = self._corners(built, *self.range)
        found = [(np.inf, tuple(built.tolist()), 0.0)]
        for low, high, energy, resource in pieces:
            least, most = ((1 + s * self.tolerance) * allowed / (energy + self.passive_energy) for s in (0, 1))
            if max(least, low) <= min(most, high):
                found.append((fixed + resource, tuple(built.tolist()), max(least, low)))
        for (_, charge, e0, r0), (_, _, e1, r1) in itertools.pairwise(pieces):
            if charge <= 0 or abs(e0 - e1) < 1e-9:
                continue
            shares = []
            for s in (0, 1):
                energy = (1 + s * self.tolerance) * allowed / charge - self.passive_energy
                shares.append(np.clip((energy - e0) / (e1 - e0), 0.0, 1.0))
            for share in shares:
                energy = e0 + share * (e1 - e0) + self.passive_energy
                if -1e-9 * allowed <= charge * energy - allowed <= self.tolerance * allowed * (1 + 1e-9):
                    found.append((fixed + r0 + share * (r1 - r0), tuple(built.tolist()), charge))
        return min(found)
