"""A platform with its low-voltage network written out variable by variable in Pyomo: nothing reduced, nothing shared with the package."""

from __future__ import annotations

import math

import pyomo.environ as pyo


def platform_model(fleet, network, economics, limits, prices, root_voltage=None):
    """Community market on a radial network of cables; loop over prosumers, buses and periods."""
    data, horizon = fleet.data, fleet.horizon
    m = pyo.ConcreteModel()
    m.I, m.T = pyo.Set(initialize=data.prosumer.values.tolist()), pyo.RangeSet(0, horizon.periods - 1)
    step, hours = horizon.step_hours, horizon.hours_per_year
    given = {name: component.price for name, component in economics.tariff.components.items()}
    last = horizon.periods - 1

    def before(t):
        return last if t == 0 else t - 1

    def value(name, i, t=None):
        chosen = data[name].sel(prosumer=i)
        return float(chosen if t is None else chosen[t])

    devices = fleet.devices
    columns = ("buy", "sell", "unserved", "pv", "charge", "discharge", "stored", "ev", "ev_late", "heat", "heat_late", "heat_early")
    for name in columns:
        m.add_component(name, pyo.Var(m.I, m.T, bounds=(0, None)))
    m.imported, m.exported = pyo.Var(m.T, bounds=(0, None)), pyo.Var(m.T, bounds=(0, None))
    m.rows = pyo.ConstraintList()
    cost = 0.0

    def recent(name, i, t, count, ahead):
        """Energy of the reference in the periods up to t, or in those after it."""
        return sum(step * value(name, i, (t + k + 1 if ahead else t - k) % (last + 1)) for k in range(count))

    for i in m.I:
        eta, loss = value("battery_efficiency", i), value("battery_loss", i)
        for t in m.T:
            m.pv[i, t].setub(value("pv", i, t))
            m.charge[i, t].setub(value("battery_power", i))
            m.discharge[i, t].setub(value("battery_power", i))
            m.stored[i, t].setub(value("battery_energy", i))
            m.ev[i, t].setub(max(value("ev_power", i), value("ev", i, t)))
            m.ev_late[i, t].setub(recent("ev", i, t, round(6 / step), False))
            m.heat[i, t].setub(max(value("heat_pump_power", i), value("heat_pump", i, t)))
            m.heat_late[i, t].setub(recent("heat_pump", i, t, round(2 / step), False))
            m.heat_early[i, t].setub(recent("heat_pump", i, t, round(2 / step), True))
            kept = 1 - loss * step
            m.rows.add(m.stored[i, t] == kept * m.stored[i, before(t)] + step * (eta * m.charge[i, t] - m.discharge[i, t] / eta))
            m.rows.add(m.ev_late[i, t] == m.ev_late[i, before(t)] + step * (value("ev", i, t) - m.ev[i, t]))
            owed, owed_before = (m.heat_late[i, s] - m.heat_early[i, s] for s in (t, before(t)))
            m.rows.add(owed == (1 - 0.02 * step) * owed_before + step * (value("heat_pump", i, t) - m.heat[i, t]))
            supply = m.buy[i, t] + m.pv[i, t] + m.discharge[i, t] + m.unserved[i, t]
            use = m.sell[i, t] + m.charge[i, t] + m.ev[i, t] + m.heat[i, t] + value("demand", i, t)
            m.rows.add(supply == use)
            cost += hours[t] * (
                economics.value_of_lost_load * m.unserved[i, t]
                + devices["battery"].wear * (m.charge[i, t] + m.discharge[i, t])
                + devices["photovoltaics"].curtailment_cost * (value("pv", i, t) - m.pv[i, t])
                + given["trading_fee"] * m.buy[i, t]
                + devices["heat_pump"].discomfort * (m.ev_late[i, t] + m.heat_late[i, t] + m.heat_early[i, t])
            )
    for t in m.T:
        net = sum(m.buy[i, t] - m.sell[i, t] for i in m.I)
        m.rows.add(net == m.imported[t] - m.exported[t])
        paid = float(prices["import_price"][t]) + prices["network_charge"] + given["levy"] - given["trading_fee"]
        cost += hours[t] * (paid * m.imported[t] - (float(prices["export_price"][t]) - given["export_deduction"]) * m.exported[t])
    m.cost = pyo.Objective(expr=cost)
    _add_network(m, fleet, network, limits, root_voltage)
    return m


def _add_network(m, fleet, network, limits, root_voltage):
    """Every branch of every period: flow, apparent power, voltage."""
    branches, data = network.active, fleet.data
    away = {network.root: None}
    while len(away) < branches.sizes["branch"] + 1:
        for k in range(branches.sizes["branch"]):
            a, b = str(branches.from_bus.values[k]), str(branches.to_bus.values[k])
            for near, far in ((a, b), (b, a)):
                if near in away and far not in away:
                    away[far] = (near, k)

    def below(bus):
        found, grew = {bus}, True
        while grew:
            more = {b for b, up in away.items() if up and up[0] in found} - found
            found, grew = found | more, bool(more)
        return found

    end_charging = dict.fromkeys(away, 0.0)
    for k in range(branches.sizes["branch"]):
        for bus in (str(branches.from_bus.values[k]), str(branches.to_bus.values[k])):
            vn = float(network.buses.vn_kv.sel(bus=bus))
            end_charging[bus] += 0.5 * 2 * math.pi * 50 * float(branches.c_nf.values[k]) * 1e-9 * (vn * 1e3) ** 2 / 1e3
    m.v = pyo.Var(list(away), m.T)
    share = (1 - limits.margin) * limits.lv_load
    for t in m.T:
        m.v[network.root, t].fix(1.0 if root_voltage is None else float(root_voltage[t]) ** 2)
        for bus, up in away.items():
            if up is None:
                continue
            near, k = up
            inside = below(bus)
            mine = [i for i in m.I if str(data.bus.sel(prosumer=i).item()) in inside]
            p = sum((m.buy[i, t] - m.sell[i, t] for i in mine), 0.0)
            q = sum(float(data.reactive.sel(prosumer=i)[t]) for i in mine) - sum(end_charging[b] for b in inside)
            limit = math.sqrt(max((share * float(branches.rating_kva.values[k])) ** 2 - q**2, 0.0))
            m.rows.add((-limit, p, limit))
            vn = float(network.buses.vn_kv.sel(bus=bus))
            r, x = float(branches.r_ohm.values[k]), float(branches.x_ohm.values[k])
            m.rows.add(m.v[bus, t] == m.v[near, t] - 2 * (r * p + x * q) / (1000 * vn**2))
            low = float(network.buses.v_min_pu.sel(bus=bus)) + limits.voltage_margin_pu
            high = float(network.buses.v_max_pu.sel(bus=bus)) - limits.voltage_margin_pu
            m.rows.add((low**2, m.v[bus, t], high**2))
