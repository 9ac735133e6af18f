"""The configuration is checked as a whole before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from multiscale.config import ConfigError, groups, load_config
from multiscale.config.groups import shipped_folder
from multiscale.config.reference import settings_tables
from multiscale.coordination.negotiation.bidirectional import BidirectionalSettings
from multiscale.system import Economics
from multiscale.tariffs import Volumetric

ROOT = Path(__file__).parents[1]


def _problems(*overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides)
    return {problem.key: str(problem) for problem in caught.value.problems}


PLANTED = {
    "devices.photovoltaics.investment": ("devices.photovoltaics.investment=???", "must be given"),
    "tariff.trading_fee": ("tariff.trading_fee=${nokey}", "points to a key that does not exist"),
    "system.growth.pv_kw": ("system.growth.pv_kw=-5 MW", "must be above 0 and at most 1000 kW"),
    "planning.gapp": ("planning.gapp=0.1", "did you mean gap?"),
    "planning.gap": ("planning.gap=1.5", "at least 0 and at most 1"),
    "tariff.levy.price": ("tariff.levy=-0.1", "tariff.levy.price = -0.1 EUR/kWh: is outside its range; it must be at least 0 and at most 10 EUR/kWh"),
    "tariff.network_charge.price_maxx": ("tariff.network_charge.price_maxx=0.1", "did you mean price_max"),
    "tariff.network_charges": ("tariff.network_charges=0.1", "did you mean network_charge?"),
    "tariff.congestion.kind": ("+tariff.congestion.kind=magic", "use volumetric, export, peer"),
    "tariff.charge_max": ("tariff.charge_max=0.2", "did you mean tariff.network_charge.price_max?"),
    "tariff.charge_min": ("tariff.charge_min=0.1", "did you mean tariff.network_charge.price_min?"),
    "tariff.existing_network_cost": ("tariff.existing_network_cost=0.1", "did you mean costs.existing_network_cost?"),
    "horizon.days": ("horizon.days=two", "cannot be read"),
    "horizon.step_hours": ("horizon.step_hours=5", "does not divide a day"),
    "costs.value_of_lost_load": ("costs.value_of_lost_load=5 kWh", "EUR/kWh"),
    "system.growth.ev_kw": ("system.growth.ev_kw=11 kWh", "kW"),
    "devices.battery.wear": ("devices.battery.wear=true", "is not a number"),
    "devices.battery.wera": ("devices.battery.wera=0.1", "did you mean wear?"),
    "costs.battery_wear": ("costs.battery_wear=0.02", "did you mean devices.battery.wear?"),
    "costs.discount_rate": ("costs.discount_rate=inf", "finite number"),
    "market": ("market=barter", "auction, bilateral, consensus"),
    "planning.method": ("planning.method=magic", "strong_duality"),
    "tarif": ("tarif.levy=1", "did you mean tariff?"),
    "engine.address": ("engine=address", "must be given"),
    "coordination": ("coordination.signal=gap & coordination.import_export_gap=0", "import_export_gap"),
    "solver.seed": ("solver.seed=1.5", "whole number"),
    "output.report": ("output.report=maybe", "true or false"),
    "system.platforms": ("system.platforms=-1", "number per distribution system"),
    "study.name": ("study.name=A/B", "small letters"),
    "engine.workers": ("engine.workers=1,2", "add -m"),
    "system": ("system.kind=simbench system.code=''", "code is empty"),
}


def test_all_planted_errors_are_reported_at_once():
    overrides = [override for text, _ in PLANTED.values() for override in text.replace(" system.code", " & system.code").split(" & ")]
    found = _problems(*overrides)
    assert set(found) == set(PLANTED)
    for key, (_, expected) in PLANTED.items():
        assert expected in found[key], found[key]


def test_problems_tell_where_the_value_stands():
    found = _problems("planning.gap=2", "system=folder")
    assert found["planning.gap"].endswith("[command line]")
    assert found["system.path"].endswith("[conf/system/folder.yaml]")


def test_an_override_that_cannot_be_read_is_quoted():
    assert "'a b c=['" in _problems("a b c=[")[""]


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("tariff.levy=8 ct/kWh", "tariff.levy.price", 0.08),
        ("tariff.levy.price=0.08 EUR/kWh", "tariff.levy.price", 0.08),
        ("system.growth.ev_kw=0.022 MW", "system.growth.ev_kw", 22.0),
        ("horizon.step_hours=30 min", "horizon.step_hours", 0.5),
        ("planning.gap=0.5 %", "planning.gap", 0.005),
        ("planning.time_limit_s=2 min", "planning.time_limit_s", 120.0),
        ("solver.memory_limit_mb=2 GB", "solver.memory_limit_mb", 2000.0),
        ("tariff.network_charge.price_max=1", "tariff.network_charge.price_max", 1.0),
    ],
)
def test_a_quantity_may_carry_its_unit(override: str, key: str, expected: float):
    value: Any = load_config([override])
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    assert value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tariff.network_charge.price_min=0.2", "tariff.network_charge.price_max=0.1"], "price_max 0.1 is below price_min 0.2"),
        (["tariff.network_charge.price_max=0"], "cannot recover"),
        (["tariff.network_charge=0.1"], "every price is given"),
        (["horizon.days=1"], "peaks=false"),
        (["system=folder", "system.path=nowhere"], "'nowhere' does not exist"),
        (["engine.kind=address"], "tcp://"),
        (["costs.reinforcement_table=nofile.csv"], "is no file"),
    ],
)
def test_rules_across_keys(overrides: list[str], message: str):
    assert any(message in text for text in _problems(*overrides).values())


def test_settings_of_another_mechanism_are_refused_and_its_kind_is_named():
    found = _problems("coordination.rounds=3", "coordination.gapp=1")
    assert "bidirectional, not of pricing" in found["coordination.rounds"]
    assert "no such key" in found["coordination.gapp"]
    assert "use pricing, bidirectional, predictive, hybrid, integrated" in _problems("coordination.kind=magic")["coordination.kind"]


def test_a_mechanism_chosen_on_the_command_line_takes_its_own_settings():
    chosen = load_config(["coordination=bidirectional", "coordination.forecast_error=0.1", "coordination.rounds=3"]).coordination
    assert chosen == BidirectionalSettings(forecast_error=0.1, rounds=3)


def test_a_reinforcement_table_needs_its_columns(tmp_path: Path):
    (tmp_path / "costs.csv").write_text("# my costs\nkind,cost_eur\nline,3\n")
    (text,) = _problems(f"costs.reinforcement_table={tmp_path / 'costs.csv'}").values()
    assert "lacks the columns vn_min_kv, vn_max_kv, measure" in text
    shipped = ROOT / "multiscale" / "sources" / "data" / "reinforcement_costs.csv"
    assert load_config([f"costs.reinforcement_table={shipped}"]).costs.reinforcement_table == shipped


def test_a_study_chooses_groups_and_the_command_line_wins():
    assert load_config(["study=tiny"]).system.kind == "tiny"
    assert load_config(["study=tiny", "system=small"]).system.kind == "simbench"
    assert load_config(["study=tiny"]).study.name == "tiny"


def test_every_choice_of_every_group_is_valid(tmp_path: Path):
    """Those of one place in all groups together; a choice is tried on its own where they do not fit together."""
    extra = {"folder": [f"system.path={tmp_path}"], "pandapower": [f"system.path={tmp_path}"], "address": ["engine.address=tcp://10.0.0.1:1"]}
    extra["scheduler_file"] = [f"engine.scheduler_file={tmp_path / 'scheduler.json'}"]
    studies, others = groups()["study"], {group: choices for group, choices in groups().items() if group != "study"}
    sets = [[("study", choice)] for choice in studies]
    sets += [[(g, choices[k]) for g, choices in others.items() if k < len(choices)] for k in range(max(map(len, others.values())))]
    for chosen in sets:
        overrides = [[f"{group}={choice}", *extra.get(choice, [])] for group, choice in chosen]
        try:
            load_config([text for one in overrides for text in one])
        except ConfigError:
            for one in overrides:
                load_config(one)


def test_private_choices_are_found(tmp_path: Path):
    (tmp_path / "tariff").mkdir()
    (tmp_path / "tariff" / "mine.yaml").write_text("defaults: [volumetric]\nlevy: 12 ct/kWh\n")
    assert load_config(["tariff=mine"], tmp_path).tariff["levy"].price == pytest.approx(0.12)
    assert "mine" in groups(tmp_path)["tariff"]


def test_the_main_study_is_the_default():
    config = load_config()
    assert config.study.name == "main"
    assert (config.horizon.days, config.horizon.step_hours) == (8, 1.0)
    assert (config.planning.kind, config.coordination.kind, config.engine.kind) == ("dso", "pricing", "local")


def test_every_setting_is_documented_as_it_is():
    assert settings_tables().strip() in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_costs_and_tariff_become_the_economics_of_the_system():
    economics = load_config(["tariff.levy=7 ct/kWh", "costs.discount_rate=3 %/a"]).economics()
    assert economics.tariff.components["levy"].price == pytest.approx(0.07)
    assert economics.discount_rate == pytest.approx(0.03)
    assert load_config().economics() == Economics()


def test_components_of_the_tariff_are_changed_removed_and_added_by_name():
    standard = load_config().tariff
    assert list(standard) == ["network_charge", "levy", "export_deduction", "trading_fee"]
    changed = load_config(
        ["tariff.levy=12 ct/kWh", "tariff.trading_fee=null", "+tariff.concession.kind=volumetric", "tariff.concession.price=1 ct/kWh"]
    )
    assert list(changed.tariff) == ["network_charge", "levy", "export_deduction", "concession"]
    assert changed.tariff["levy"] == standard["levy"].model_copy(update={"price": 0.12})
    assert changed.tariff["concession"] == Volumetric(price=0.01)
    settings = {setting.key: setting for setting in changed.record().settings}
    assert (settings["tariff.concession.price"].value, settings["tariff.concession.price"].unit) == (0.01, "EUR/kWh")


def test_every_folder_with_modules_is_a_package_and_goes_into_the_wheel():
    folders = {path.parent for path in (ROOT / "multiscale").rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_every_study_has_a_page():
    for study in groups()["study"]:
        page = (shipped_folder("studies") / study / "README.md").read_text(encoding="utf-8")
        assert f"multiscale run study={study}" in page or (study == "main" and "multiscale run" in page)


@pytest.mark.parametrize(
    ("overrides", "key", "message"),
    [
        (["engine=serial", "engine.workers=3"], "engine.workers", "is a key of engine.kind local or slurm or pbs, not of serial"),
        (["planning=none", "planning.gap=0.1"], "planning.gap", "is a key of planning.kind dso or tso or nested, not of none"),
        (["study=tiny", "system.code=x"], "system.code", "is a key of system.kind simbench, not of tiny"),
        (["planning.kind=iso"], "planning.kind", "is not a valid value; use dso, tso, nested, none"),
        (["system.kind=matlab"], "system.kind", "use simbench, tiny, pandapower, folder"),
        (["planning.method=magic"], "planning.method", "use auto, decomposition, strong_duality"),
    ],
)
def test_kinds_and_their_keys_are_distinguished(overrides: list[str], key: str, message: str):
    assert message in _problems(*overrides)[key]


@pytest.mark.parametrize(
    ("override", "said"), [("study.name=Main Study", "may hold small letters"), ("engine.queue=short long", "holds blanks; give one word")]
)
def test_texts_of_a_pattern_say_what_they_may_hold(override: str, said: str):
    with pytest.raises(ConfigError, match=said):
        load_config(["engine=slurm", override])
