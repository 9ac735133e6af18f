"""An OpenDSS model as a pandapower network: balanced three-phase elements, by their positive sequence, as OpenDSS itself has read them (dss-python).

    Z1 = mean diagonal - mean off-diagonal of the matrix of a line [ohm],   C1 in the same way [nF]

What has fewer than three phases cannot be in a balanced model: lines and transformers of one or two phases are refused by name. Loads and
generation of one or two phases on three-phase buses are taken as balanced, with their total power; that, and all else that differs, is listed.
Source: OpenDSS technical notes (EPRI), elements Line, Transformer, Load.
"""

from __future__ import annotations

import locale
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.sources.opendss_script import read_script
from multiscale.system.approximation import Approximation
from multiscale.system.problem import InvalidSystemError, Problem

KM = (1.0, 1.609344, 0.3048, 1.0, 1e-3, 0.3048e-3, 25.4e-6, 1e-5, 1e-6)
"""Length of the units of OpenDSS in their order: none (taken as km), mi, kft, km, m, ft, in, cm, mm [km]."""
READ = ("vsource", "line", "transformer", "load", "capacitor", "generator", "pvsystem")
SILENT = ("energymeter", "monitor", "sensor", "fuse", "recloser", "relay", "swtcontrol", "capcontrol", "regcontrol", "invcontrol")
"""Meters, protection and controls: they carry no current."""
PHASES = 3
VARIABLE = 0
"""Status of a load that follows the factor of all loads (loadmult)."""


def opendss_network(master: Path) -> tuple[Any, list[Approximation]]:
    """The network of a model, and what of it is approximated.

    Args:
        master: first file of the model; the others are in its folder.

    Raises:
        InvalidSystemError: dss-python is not installed, a statement is refused, OpenDSS finds an error, elements are not three-phase; all of a kind.
    """
    script = read_script(master)
    try:
        DSS, DSSException = loaded()
    except ImportError:
        message = "OpenDSS models are read with the package dss-python, which is not installed; python -m pip install 'multiscale[readers]'"
        raise InvalidSystemError([Problem("file", str(master), "", "", "", message)]) from None
    DSS.AllowChangeDir, DSS.AllowForms, DSS.AllowEditor, DSS.AllowDOScmd = False, False, False, False
    engine = DSS.NewContext()
    try:
        for statement in ("clear", f'set datapath="{master.resolve().parent}"', *script.statements, "set mode=snapshot", "calcvoltagebases", "solve"):
            engine.Text.Command = statement
        circuit = engine.ActiveCircuit
        if not circuit.Solution.Converged:
            message = "OpenDSS' own power flow does not converge, so taps and generation are not known; correct the model"
            raise InvalidSystemError([Problem("file", str(master), "", "", "", message)])
        return _Network(circuit, master).built()
    except DSSException as error:
        message = f"OpenDSS says of {statement[:60]!r}: {str(error).splitlines()[0]}; correct the model"
        raise InvalidSystemError([Problem("file", str(master), "", "", "", message)]) from None
    finally:
        engine.Text.Command = "clear"


def loaded() -> tuple[Any, Any]:
    """OpenDSS, and the class of its errors. It gives the whole process, solvers included, the numbers of the user's locale; that is undone.

    Raises:
        ImportError: dss-python is not installed.
    """
    numbers = locale.setlocale(locale.LC_NUMERIC)
    try:
        from dss import DSS
        from dss._cffi_api_util import DSSException
    finally:
        locale.setlocale(locale.LC_NUMERIC, numbers)
    return DSS, DSSException


class _Network:
    """One conversion.

    Args:
        circuit: of OpenDSS, solved.
        master: first file of the model.
    """

    def __init__(self, circuit: Any, master: Path) -> None:
        import pandapower as pp

        self.circuit, self.master = circuit, master
        self.net = pp.create_empty_network(name=str(circuit.Name), f_hz=float(circuit.Solution.Frequency))
        self.approximated: list[Approximation] = []
        self.problems: list[Problem] = []
        self.bus: dict[str, int] = {}

    def built(self) -> tuple[Any, list[Approximation]]:
        """The network and what is approximated."""
        self._buses()
        self._check()
        self._each("vsource", self._source)
        self._each("line", self._line)
        self._each("transformer", self._transformer)
        self._each("load", self._load)
        self._each("capacitor", self._capacitor)
        for kind in ("generator", "pvsystem"):
            self._each(kind, self._generation)
        if self.problems:
            raise InvalidSystemError(self.problems)
        return self.net, self.approximated

    def _say(self, component: str, what: str, done: str) -> None:
        self.approximated.append(Approximation(component, what, done))

    def _refuse(self, element: str, message: str) -> None:
        self.problems.append(Problem("element", element, "", "", "", message))

    def _each(self, kind: str, convert: Callable[[str, list[str]], None]) -> None:
        """Convert every enabled element of a class."""
        for name in self.circuit.AllElementNames:
            if str(name).lower().startswith(f"{kind}."):
                self.circuit.SetActiveElement(name)
                element = self.circuit.ActiveCktElement
                ends = range(1, int(element.NumTerminals) + 1) if element.Enabled else ()
                if kind != "line" and any(element.IsOpen(end, 0) for end in ends):
                    self._say(str(name), "open", "excluded: a terminal is open")
                elif element.Enabled:
                    convert(str(name).partition(".")[2], [str(bus).partition(".")[0].lower() for bus in element.BusNames])

    def _buses(self) -> None:
        import pandapower as pp

        for name in self.circuit.AllBusNames:
            self.circuit.SetActiveBus(name)
            kv = float(self.circuit.ActiveBus.kVBase) * np.sqrt(PHASES)
            if not kv > 0:
                self._refuse(f"bus {name}", "has no base voltage; give 'set voltagebases=[...]' in the model")
            self.bus[str(name).lower()] = int(pp.create_bus(self.net, vn_kv=round(kv, 6), name=str(name)))

    def _check(self) -> None:
        """Elements that are not read, and those without three phases."""
        for name in self.circuit.AllElementNames:
            kind = str(name).partition(".")[0].lower()
            self.circuit.SetActiveElement(name)
            element = self.circuit.ActiveCktElement
            if not element.Enabled or kind in SILENT:
                continue
            if kind not in READ:
                self._refuse(str(name), f"elements of the class {kind} are not read; disable it, or replace it by {', '.join(READ[1:])}")
            elif kind in ("vsource", "line", "transformer") and element.NumPhases != PHASES:
                message = "it cannot be in a balanced model of the positive sequence; disable it with what it feeds"
                self._refuse(str(name), f"has {element.NumPhases} phase(s): {message}")
        if self.problems:
            raise InvalidSystemError(self.problems)

    def _source(self, name: str, buses: list[str]) -> None:
        import pandapower as pp

        source = self.circuit.Vsources
        source.Name = name
        bus = self.bus[buses[0]]
        pp.create_ext_grid(self.net, bus, vm_pu=float(source.pu) * float(source.BasekV) / float(self.net.bus.vn_kv.at[bus]), name=name)
        self._say(f"source '{name}'", "impedance", "none: its bus is held at the voltage of the source")

    def _line(self, name: str, buses: list[str]) -> None:
        import pandapower as pp

        lines = self.circuit.Lines
        lines.Name = name
        element = self.circuit.ActiveCktElement
        is_open = bool(element.IsOpen(1, 0) or element.IsOpen(2, 0))
        r, x, c = (_positive(matrix) * float(lines.Length) for matrix in (lines.Rmatrix, lines.Xmatrix, lines.Cmatrix))
        if max(_unlike(lines.Rmatrix), _unlike(lines.Xmatrix)) > 1e-6:
            self._say(f"line '{name}'", "matrices", "phases differ: the mean of them is taken (positive sequence)")
        km = float(lines.Length) * KM[int(lines.Units)]
        pp.create_line_from_parameters(
            self.net, self.bus[buses[0]], self.bus[buses[1]], length_km=km, r_ohm_per_km=r / km, x_ohm_per_km=x / km, c_nf_per_km=max(c / km, 0.0),
            max_i_ka=float(lines.NormAmps) / 1e3, name=name, in_service=not is_open,
        )  # fmt: skip

    def _transformer(self, name: str, buses: list[str]) -> None:
        import pandapower as pp

        found = self.circuit.Transformers
        found.Name = name
        if found.NumWindings != 2:
            self._refuse(f"transformer '{name}'", f"has {found.NumWindings} windings; only two are read: replace it by transformers of two windings")
            return
        kv, kva, r, tap = [], [], [], []
        for winding in (1, 2):
            found.Wdg = winding
            kv.append(float(found.kV))
            kva.append(float(found.kVA))
            r.append(float(found.R))
            tap.append(float(found.Tap))
        high = int(kv[1] > kv[0])
        element = self.circuit.ActiveCktElement
        losses, current = (float(element.Properties(key).Val) for key in ("%noloadloss", "%imag"))
        resistance, ratio = sum(r), tap[high] / tap[1 - high]
        if abs(tap[1 - high] - 1.0) > 1e-9:
            self._say(f"transformer '{name}'", "tap", "of the winding of lower voltage: taken at the other one")
        if abs(ratio - 1.0) > 1e-9:
            self._say(f"transformer '{name}'", "tap", f"stays at the ratio {ratio:.5g} that OpenDSS found")
        if losses or current:
            self._say(f"transformer '{name}'", "magnetising current", "half of it on either side; OpenDSS has all of it at one winding")
        pp.create_transformer_from_parameters(
            self.net, self.bus[buses[high]], self.bus[buses[1 - high]], sn_mva=kva[0] / 1e3, vn_hv_kv=kv[high], vn_lv_kv=kv[1 - high],
            vk_percent=float(np.hypot(found.Xhl, resistance)), vkr_percent=resistance, pfe_kw=losses * kva[0] / 100,
            i0_percent=float(np.hypot(losses, current)), tap_side="hv", tap_pos=1, tap_neutral=0, tap_min=0, tap_max=1,
            tap_step_percent=100 * (ratio - 1.0), tap_changer_type="Ratio", name=name,
        )  # fmt: skip

    def _balanced(self, what: str) -> None:
        phases = int(self.circuit.ActiveCktElement.NumPhases)
        if phases < PHASES:
            self._say(what, "phases", f"{phases} of three: taken as balanced with the same power, so unbalance of voltages is not seen")

    def _load(self, name: str, buses: list[str]) -> None:
        import pandapower as pp

        loads = self.circuit.Loads
        loads.Name = name
        self._balanced(f"load '{name}'")
        if int(loads.Model) != 1:
            self._say(f"load '{name}'", "model", f"{int(loads.Model)} of OpenDSS (dependent on voltage): taken as constant power")
        factor = float(self.circuit.Solution.LoadMult) if int(loads.Status) == VARIABLE else 1.0
        pp.create_load(self.net, self.bus[buses[0]], p_mw=factor * float(loads.kW) / 1e3, q_mvar=factor * float(loads.kvar) / 1e3, name=name)

    def _capacitor(self, name: str, buses: list[str]) -> None:
        import pandapower as pp

        found = self.circuit.Capacitors
        found.Name = name
        if len(buses) > 1 and buses[1] != buses[0]:
            self._refuse(f"capacitor '{name}'", "is in series; only capacitors from a bus to earth are read")
            return
        self._balanced(f"capacitor '{name}'")
        steps = np.atleast_1d(np.asarray(found.States))
        share = float(np.clip(steps, 0, 1).mean()) if steps.size else 1.0
        vn = float(found.kV) if int(self.circuit.ActiveCktElement.NumPhases) > 1 else float(found.kV) * np.sqrt(PHASES)
        pp.create_shunt(self.net, self.bus[buses[0]], q_mvar=-share * float(found.kvar) / 1e3, p_mw=0.0, vn_kv=vn, name=name)

    def _generation(self, name: str, buses: list[str]) -> None:
        import pandapower as pp

        element = self.circuit.ActiveCktElement
        powers = np.asarray(element.Powers)
        kind = str(element.Name).partition(".")[0].lower()
        self._balanced(f"{kind} '{name}'")
        p, q = -float(powers[0::2].sum()), -float(powers[1::2].sum())
        self._say(f"{kind} '{name}'", "power", f"{p:.6g} kW and {q:.6g} kvar, as OpenDSS found them")
        pp.create_sgen(self.net, self.bus[buses[0]], p_mw=p / 1e3, q_mvar=q / 1e3, name=name, type="PV" if kind == "pvsystem" else "generator")


def _positive(matrix: Any) -> float:
    """Positive-sequence value of a matrix of three phases."""
    values = np.asarray(matrix, dtype=float).reshape(PHASES, PHASES)
    return float(np.trace(values) / PHASES - (values.sum() - np.trace(values)) / (PHASES * (PHASES - 1)))


def _unlike(matrix: Any) -> float:
    """How far the phases of a matrix differ, as a share of its largest entry."""
    values = np.asarray(matrix, dtype=float).reshape(PHASES, PHASES)
    off = values[~np.eye(PHASES, dtype=bool)]
    return float(max(np.ptp(np.diag(values)), np.ptp(off)) / max(np.abs(values).max(), 1e-300))
