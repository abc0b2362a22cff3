"""Networks that only hold settings (``--config-only``), and networks that take theirs from one.

Source of rules and texts: libnetwork ``network.go``: validateConfiguration,
applyConfigurationTo, ``network_unix.go``: validatedAdvertiseAddrNMsgs and Interval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ipvlab.driver.creating import DEFAULT_IPAM, WantedNetwork
from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.options import (
    ADVERTISE_COUNT,
    ADVERTISE_COUNT_MOST,
    ADVERTISE_INTERVAL,
    ADVERTISE_INTERVAL_RANGE,
    read_integer,
)
from ipvlab.driver.requests import NetworkRequest
from ipvlab.driver.state import Network
from ipvlab.errors import DriverRefusal

_FROM = "not supported if the network depends on a configuration network"


def check_configuration(wanted: WantedNetwork, row: DialectRow) -> None:
    """Check what a configuration network, or one that depends on one, may not have.

    Raises :class:`DriverRefusal`: 403 for these; 500 for the options that set how
    addresses are announced (28.0), which only other networks may carry.
    """
    request = wanted.request
    is_operated = request.is_ingress or request.is_internal or request.is_attachable or request.scope
    if request.is_config_only and is_operated:
        raise DriverRefusal(
            "configuration network can only contain network specific fields. Network operator fields "
            "like [ ingress | internal | attachable | scope ] are not supported.",
            status=403,
        )
    if not request.config_from:
        if row.checks_advertising:
            check_advertising(request.options)
        return
    if request.is_config_only:
        raise DriverRefusal(
            "a configuration network cannot depend on another configuration network", status=403
        )
    is_configured = (
        request.ipam_driver != DEFAULT_IPAM
        or not wanted.has_ipv4
        or wanted.has_ipv6
        or request.labels
        or request.ipam_options
        or request.pools
    )
    if is_configured:
        raise DriverRefusal(f"{row.user_specified} configurations are {_FROM}", status=403)
    if request.options:
        raise DriverRefusal(f"network driver options are {_FROM}", status=403)


def check_advertising(options: Mapping[str, str]) -> None:
    """Check how often and how fast a new endpoint announces itself.

    Raises :class:`DriverRefusal` (500) that lists every fault, a line each.
    """
    low, high = ADVERTISE_INTERVAL_RANGE
    checks = (
        (ADVERTISE_COUNT, 0, ADVERTISE_COUNT_MOST, "an integer"),
        (ADVERTISE_INTERVAL, low, high, "integer milliseconds"),
    )
    faults = []
    for key, least, most, kind in checks:
        text = options.get(key)
        if text is None:
            continue
        number = read_integer(text)
        if number is None:
            faults.append(f'value for option {key} "{text}" must be {kind}')
        elif not least <= number <= most:
            faults.append(f"{key} must be in the range {least} to {most}")
    if faults:
        raise DriverRefusal("\n".join(faults))


def apply_configuration(wanted: WantedNetwork, networks: Mapping[str, Network]) -> WantedNetwork:
    """A network's settings from the configuration network that it names, found by name only.

    Whether it is internal or attachable is its own. Raises :class:`DriverRefusal` (404).
    """
    request = wanted.request
    if not request.config_from:
        return wanted
    source = networks.get(request.config_from)
    if source is None or not source.request.is_config_only:
        raise DriverRefusal(f'configuration network "{request.config_from}" does not exist', status=404)
    return WantedNetwork(
        request=_settings_of(source.request, request),
        configs=source.configs,
        has_ipv4=source.has_ipv4,
        has_ipv6=source.has_ipv6,
    )


def _settings_of(source: NetworkRequest, request: NetworkRequest) -> NetworkRequest:
    return dataclasses.replace(
        request,
        options=dict(source.options),
        pools=source.pools,
        labels=dict(source.labels),
        ipam_driver=source.ipam_driver,
        ipam_options=dict(source.ipam_options),
    )
