"""Is a result true: AC power flow, conservation laws, certificates."""

from multiscale.verification.ac import Verification, ac_power_flow, ac_verify, profile_injections

__all__ = ["Verification", "ac_power_flow", "ac_verify", "profile_injections"]
