"""A container's places on its networks: made on the machine, changed, and unmade, each whole or not at all.

Source of the order: moby ``daemon/container_operations.go``: allocateNetwork,
connectToNetwork, libnetwork ``endpoint.go``: sbJoin, sbLeave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from ipvlab.driver.default_routes import Join
from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.endpoint_options import container_sysctls
from ipvlab.driver.joining import check_settings, plan_endpoints, take_leases
from ipvlab.driver.port import EndpointPlan, HostPort, RoutePlan
from ipvlab.driver.requests import EndpointRequest
from ipvlab.driver.state import Container, Endpoint, IdSource, Network
from ipvlab.errors import DriverRefusal, LabError

#: The network of a container that wants none.
NONE = "none"


class Places:
    """The endpoints of one host's containers.

    Methods take an ``undo`` stack: what they did, on the machine and in memory,
    is taken back when it unwinds. They raise :class:`DriverRefusal`, or
    :class:`KernelRefusal` where the machine refuses a step.
    """

    def __init__(
        self, port: HostPort, row: DialectRow, ids: IdSource, find_network: Callable[[str], Network]
    ) -> None:
        self._port = port
        self._row = row
        self._ids = ids
        self._find_network = find_network

    def enter_all(self, container: Container, undo: ExitStack) -> None:
        """Give a container its namespace, and its place on each network that it is to be on."""
        joins: list[Join] = []
        for request in container.joins:
            if request.network != NONE:
                network = self._find_network(request.network)
                check_settings(network, request, self._row)
                _refuse_second_place(container, network, [join.network for join in joins])
                joins.append(self._take(container, network, request, undo))
        plans = plan_endpoints(joins, self._row)
        sysctls = container_sysctls(container.request.sysctls, self._row)
        self._port.add_container(container.name, container.hostname)
        undo.callback(quietly, self._port.remove_container, container.name)
        has_own_sysctls = self._row.has_endpoint_sysctls
        if sysctls and has_own_sysctls:
            self._port.set_sysctls(container.name, sysctls)
        for plan in plans:
            self._attach(container, plan)
        if sysctls and not has_own_sysctls:
            # Up to 26 the interfaces are there first (a hook of runc's), so theirs can be set too.
            self._port.set_sysctls(container.name, sysctls)
        for join, plan in zip(joins, plans, strict=True):
            self._add_endpoint(container, join, plan, undo)
        self._set_joins(
            container,
            tuple(_by_name(request, joins) for request in container.joins),
            undo,
        )

    def enter(
        self, container: Container, network: Network, request: EndpointRequest, undo: ExitStack
    ) -> None:
        """Put a running container on one network more; the default route moves where it has to."""
        _refuse_second_place(container, network, [endpoint.network for endpoint in container.endpoints])
        join = self._take(container, network, request, undo)
        *others, plan = plan_endpoints([*map(_join_of, container.endpoints), join], self._row)
        self._move_routes(container, others, undo, drops=True)
        self._attach(container, plan)
        undo.callback(quietly, self._port.detach, container.name, plan.interface)
        self._move_routes(container, others, undo, drops=False)
        self._set_plans(container.endpoints, others, undo)
        self._add_endpoint(container, join, plan, undo)

    def leave(self, container: Container, endpoint: Endpoint, undo: ExitStack) -> Callable[[], None]:
        """Take a running container off a network; the default route moves to another that has one.

        The addresses are kept until the caller calls what is returned.
        """
        rest = [other for other in container.endpoints if other is not endpoint]
        plans = plan_endpoints([_join_of(other) for other in rest], self._row)
        self._port.detach(container.name, endpoint.interface)
        undo.callback(quietly, self._port.attach, container.name, endpoint.plan)
        self._drop_endpoint(container, endpoint, undo)
        self._move_routes(container, plans, undo, drops=True)
        self._move_routes(container, plans, undo, drops=False)
        self._set_plans(rest, plans, undo)

        def release() -> None:
            for lease in endpoint.leases:
                lease.release()

        return release

    def leave_all(self, container: Container) -> None:
        """Drop a container's namespace with everything in it, and give its addresses back."""
        self._port.remove_container(container.name)
        for endpoint in container.endpoints:
            endpoint.network.drop_endpoint(endpoint)
            for lease in endpoint.leases:
                lease.release()
        container.endpoints.clear()

    def restore(self, container: Container, places: Sequence[tuple[str, Join]]) -> None:
        """Take in the places of a container that ran on while its engine was restarted."""
        joins = [join for _, join in places]
        plans = plan_endpoints(joins, self._row)
        for (endpoint_id, join), plan in zip(places, plans, strict=True):
            endpoint = Endpoint(
                endpoint_id, join.network, container, join.request, plan.interface, join.leases, plan
            )
            container.endpoints.append(endpoint)
            join.network.add_endpoint(endpoint)

    def _take(
        self, container: Container, network: Network, request: EndpointRequest, undo: ExitStack
    ) -> Join:
        """Take a network's addresses for a container."""
        leases = take_leases(network, request, lambda lease: undo.callback(lease.release))
        failing = f"failed to create endpoint {container.name} on network {network.name}: "
        if network.is_lost:
            raise DriverRefusal(f'{failing}network id "{network.id}" not found')
        if request.mac is not None:
            raise DriverRefusal(f"{failing}ipvlan interfaces do not support custom mac address assignment")
        return Join(network, request, leases)

    def _attach(self, container: Container, plan: EndpointPlan) -> None:
        if not self._port.has_link(plan.parent):
            raise DriverRefusal(
                f"the requested parent interface {plan.parent} was not found on the Docker host"
            )
        self._port.attach(container.name, plan)

    def _add_endpoint(self, container: Container, join: Join, plan: EndpointPlan, undo: ExitStack) -> None:
        network = join.network
        endpoint_id = self._ids.next("endpoint", f"{network.name}/{container.name}")
        request = dataclasses.replace(join.request, network=network.name)
        endpoint = Endpoint(endpoint_id, network, container, request, plan.interface, join.leases, plan)
        container.endpoints.append(endpoint)
        network.add_endpoint(endpoint)
        undo.callback(container.endpoints.remove, endpoint)
        undo.callback(network.drop_endpoint, endpoint)

    def _drop_endpoint(self, container: Container, endpoint: Endpoint, undo: ExitStack) -> None:
        at = container.endpoints.index(endpoint)
        del container.endpoints[at]
        endpoint.network.drop_endpoint(endpoint)
        undo.callback(endpoint.network.add_endpoint, endpoint)
        undo.callback(container.endpoints.insert, at, endpoint)

    def _move_routes(
        self, container: Container, plans: Sequence[EndpointPlan], undo: ExitStack, *, drops: bool
    ) -> None:
        """Take out the routes that a container's endpoints lose, or put in those that they get."""
        for endpoint, plan in zip(container.endpoints, plans, strict=True):
            before, after = endpoint.plan.routes, plan.routes
            gone = [route for route in before if route not in after] if drops else []
            new = [] if drops else [route for route in after if route not in before]
            if gone or new:
                self._change_routes(container.name, gone, new, undo)

    def _change_routes(
        self, name: str, gone: Sequence[RoutePlan], new: Sequence[RoutePlan], undo: ExitStack
    ) -> None:
        self._port.change_routes(name, gone, new)
        undo.callback(quietly, self._port.change_routes, name, new, gone)

    @staticmethod
    def _set_plans(endpoints: Sequence[Endpoint], plans: Sequence[EndpointPlan], undo: ExitStack) -> None:
        for endpoint, plan in zip(endpoints, plans, strict=True):
            undo.callback(setattr, endpoint, "plan", endpoint.plan)
            endpoint.plan = plan

    @staticmethod
    def _set_joins(container: Container, joins: tuple[EndpointRequest, ...], undo: ExitStack) -> None:
        undo.callback(setattr, container, "joins", container.joins)
        container.joins = joins


def quietly(step: Callable[..., object], *arguments: object) -> None:
    """Take a step back on the machine; one that is refused too leaves what it would have undone."""
    with suppress(LabError):
        step(*arguments)


def _join_of(endpoint: Endpoint) -> Join:
    return Join(endpoint.network, endpoint.request, endpoint.leases, endpoint.interface)


def _by_name(request: EndpointRequest, joins: Sequence[Join]) -> EndpointRequest:
    """A request that calls its network by the name, whatever the user wrote for it."""
    network = next((join.network for join in joins if join.request is request), None)
    return request if network is None else dataclasses.replace(request, network=network.name)


def _refuse_second_place(container: Container, network: Network, held: Sequence[Network]) -> None:
    if any(network is other for other in held):
        raise DriverRefusal(
            f"endpoint with name {container.name} already exists in network {network.name}", status=403
        )
