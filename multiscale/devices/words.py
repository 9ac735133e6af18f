"""The devices in words, for the documentation: generated from the registry."""

from __future__ import annotations

from multiscale.attribute import section
from multiscale.devices.device import Device
from multiscale.devices.registry import DEVICES

_ROLES = {
    "generation": "generation: fed in as available when uncontrolled, may be curtailed",
    "consumption": "consumption: drawn along its reference when uncontrolled, flexible in time",
    "storage": "storage: idle when uncontrolled",
}


def describe_devices() -> str:
    """A section of Markdown per device, as they stand in ``docs/data.md``."""
    return "\n\n".join(_section(key, device) for key, device in DEVICES.items())


def _section(key: str, device: type[Device]) -> str:
    facts = [f"`kind` in the device table: {', '.join(f'`{kind}`' for kind in device.kinds)}", _ROLES[device.role]]
    lines = [
        *section(key, device, facts, "devices"),
        "",
        "| variable of the fleet | unit | meaning |",
        "|---|---|---|",
        *(f"| `{name}` | {declared.unit} | {declared.meaning} |" for name, declared in device.variables.items()),
    ]
    return "\n".join(lines)
