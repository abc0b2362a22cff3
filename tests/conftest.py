"""For all tests: how long an example of hypothesis takes on a busy machine, or in a guest, is no finding."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("ipvlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ipvlab")
