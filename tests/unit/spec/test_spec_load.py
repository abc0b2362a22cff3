"""From text to values, and from values back to places in the file."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest

from ipvlab.errors import KeyMissing, KeyUnknown, Position, SpecError, ValueInvalid
from ipvlab.spec.check import check_scenario
from ipvlab.spec.load import LoadedScenario, load_scenario, load_scenario_text
from tests.unit.spec.refusals import dedent, refuse, refuse_one

SCENARIOS = Path(__file__).parents[3] / "scenarios"

TEXT = dedent("""
    name: x
    wires:
      lan:
    hosts:
      h1:
        interfaces: {eth0: {wire: lan, addresses: [10.0.0.1/24, "2001:db8::1/64"]}}
        networks:
          v20:
            driver_opts: {parent: eth0.20, count: 5, ratio: 1.5, on: true, off: }
            labels: [a=b, c]
        containers:
          a1: {networks: [v20]}
          a2: {networks: {v20: }}
        commands: |   # as typed

          docker network create \\
              -d ipvlan n
            indented
    expect:
      - reach: {from: a1, to: [a2, h1]}
      - links: {in: h1, present: [eth0]}
    steps:
      - do:
          h1: ["one", 'two']
          h2:
            - three
            - |
              four
              five
            - six
    """)


@pytest.fixture(name="loaded")
def _loaded() -> LoadedScenario:
    return load_scenario_text(TEXT, "x.yaml")


def test_values_are_frozen_and_typed(loaded: LoadedScenario) -> None:
    h1 = loaded.scenario.hosts["h1"]
    assert h1.interfaces["eth0"].addresses == (
        ipaddress.ip_interface("10.0.0.1/24"),
        ipaddress.ip_interface("2001:db8::1/64"),
    )
    with pytest.raises(ValueError, match="frozen"):
        setattr(h1, "forwarding", True)  # noqa: B010  # mypy knows already that it cannot be set


def test_option_values_become_texts_as_compose_does(loaded: LoadedScenario) -> None:
    network = loaded.scenario.hosts["h1"].networks["v20"]
    assert network.driver_opts == {"parent": "eth0.20", "count": "5", "ratio": "1.5", "on": "true", "off": ""}
    assert network.labels == {"a": "b", "c": ""}


def test_a_list_of_networks_is_a_mapping_without_settings(loaded: LoadedScenario) -> None:
    containers = loaded.scenario.hosts["h1"].containers
    assert containers["a1"] == containers["a2"]


def test_a_name_stands_for_a_list_of_one(loaded: LoadedScenario) -> None:
    reach = loaded.scenario.expect[0].reach
    assert reach is not None
    assert (reach.from_, reach.to) == (("a1",), ("a2", "h1"))


def test_the_items_of_a_list_of_commands_are_counted_line_by_line(loaded: LoadedScenario) -> None:
    do = loaded.scenario.steps[0].do
    assert do == {"h1": ("one", "two"), "h2": ("three", "four", "five", "six")}


@pytest.mark.parametrize(
    ("keys", "line", "column"),
    [
        (("name",), 1, 7),
        (("hosts", "h1", "interfaces", "eth0", "wire"), 6, 31),
        (("hosts", "h1", "interfaces", "eth0", "addresses", 1), 6, 61),
        (("hosts", "h1", "containers", "a1", "networks", "v20"), 12, 23),
        (("expect", 0, "reach", "from"), 20, 19),
        (("expect", 0, "reach", "from_"), 20, 19),
        (("expect", 0, "reach", "from", 0), 20, 19),
        (("expect", 0, "reach", "to", 1), 20, 32),
        (("expect", 1, "links", "in_"), 21, 17),
        (("expect", 0, "reach", "ttl"), 20, 12),
        (("expect", 7), 20, 3),
        (("routers", "gw", "routes", 0), 1, 1),
    ],
)
def test_a_value_knows_its_place_or_that_of_what_is_around_it(
    loaded: LoadedScenario, keys: tuple[str | int, ...], line: int, column: int
) -> None:
    assert loaded.position(*keys) == Position("x.yaml", line, column)


@pytest.mark.parametrize(
    ("keys", "line", "column"),
    [
        (("name",), 1, 1),
        (("hosts", "h1", "containers", "a1"), 12, 7),
        (("expect", 0, "reach", "from_"), 20, 13),
        (("expect", 0, "reach", "ttl"), 20, 12),
    ],
)
def test_a_key_knows_its_place(
    loaded: LoadedScenario, keys: tuple[str | int, ...], line: int, column: int
) -> None:
    assert loaded.key_position(*keys) == Position("x.yaml", line, column)


@pytest.mark.parametrize(
    ("keys", "nth", "line", "column"),
    [
        (("hosts", "h1", "commands"), 1, 15, 1),
        (("hosts", "h1", "commands"), 2, 16, 7),
        (("hosts", "h1", "commands"), 3, 17, 11),
        (("hosts", "h1", "commands"), 4, 18, 9),
        (("steps", 0, "do", "h1"), 1, 24, 12),
        (("steps", 0, "do", "h1"), 2, 24, 19),
        (("steps", 0, "do", "h2"), 1, 26, 11),
        (("steps", 0, "do", "h2"), 2, 28, 11),
        (("steps", 0, "do", "h2"), 3, 29, 11),
        (("steps", 0, "do", "h2"), 4, 30, 11),
        (("hosts", "h9", "commands"), 1, 5, 3),
    ],
)
def test_a_command_line_knows_its_place(
    loaded: LoadedScenario, keys: tuple[str | int, ...], nth: int, line: int, column: int
) -> None:
    assert loaded.command_position(*keys, line=nth) == Position("x.yaml", line, column)


def test_the_nth_raw_line_of_a_block_is_the_nth_line_of_commands(loaded: LoadedScenario) -> None:
    lines = TEXT.split("\n")
    for number, command in enumerate(loaded.scenario.hosts["h1"].commands[:4], 1):
        where = loaded.command_position("hosts", "h1", "commands", line=number)
        assert lines[where.line - 1].strip() == command.strip()


def test_an_unknown_key_names_the_nearest_and_all_valid_keys() -> None:
    error = refuse_one("name: x\nhosts: {h1: {§interfacse: {}}}\n", KeyUnknown)
    assert "'interfacse'" in error.what
    assert "Did you mean 'interfaces'?" in error.hint
    assert "interfaces, routes, firewall, commands, forwarding, networks, containers" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "§titel: y",
        "hosts: {h1: {§image: y}}",
        "routers: {gw: {§networks: {}}}",
        "routers: {gw: {§containers: {}}}",
        "wires: {lan: {§mtu: 5}}",
        "hosts: {h1: {interfaces: {eth0: {wire: lan, §vlanid: 5}}}}",
        "hosts: {h1: {interfaces: {eth0: {wire: lan, port: {§vlan: 5}}}}}",
        "hosts: {h1: {routes: [{to: default, via: 10.0.0.1, §metric: 5}]}}",
        "hosts: {h1: {firewall: {§ingress: drop}}}",
        "hosts: {h1: {networks: {n: {§options: {}}}}}",
        "hosts: {h1: {networks: {n: {ipam: {§configs: []}}}}}",
        "hosts: {h1: {networks: {n: {ipam: {config: [{subnet: 10.0.0.0/8, §range: 1}]}}}}}",
        "hosts: {h1: {containers: {c: {§image: alpine}}}}",
        "hosts: {h1: {containers: {c: {networks: {n: {§ip: 10.0.0.1}}}}}}",
        "expect: [{§reaches: {from: a, to: b}}]",
        "expect: [{reach: {from: a, to: b, §port: 5}}]",
        "expect: [{reach: {from: a, to: b, §from_: c}}]",
        "steps: [{do: {}, §then: []}]",
        "§<<: {}",
        "§5: {}",
    ],
)
def test_every_mapping_is_closed(text: str) -> None:
    refuse_one(f"name: x\n{text}\n", KeyUnknown)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("§title: x", "name"),
        ("name: x\nhosts: {h1: {routes: [§{via: 10.0.0.1}]}}", "to"),
        ("name: x\nhosts: {h1: {networks: {n: {ipam: {config: [§{gateway: 10.0.0.1}]}}}}}", "subnet"),
        ("name: x\nexpect: [{reach: §{from: a}}]", "to"),
        ("name: x\nexpect: [{broadcast: §{from: a}}]", "heard_by"),
        ("name: x\nexpect: [{addresses: §{eth0: []}}]", "in"),
        ("name: x\nexpect: [{fails: §{on: a, command: b}}]", "error"),
        ("name: x\nsteps: [§{expect: []}]", "do"),
    ],
)
def test_a_missing_key_is_named_at_the_mapping_that_lacks_it(text: str, key: str) -> None:
    assert repr(key) in refuse_one(f"{text}\n", KeyMissing).what


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: §Trunk", "lower-case letters"),
        ("name: §5", "must be text, not the number 5"),
        ("§name:", "must be text, not nothing"),
        ("name: x\ntitle: §[a]", "must be text, not a list"),
        ("name: x\ndialect: §docker-27", "must be one of docs, docker-26, docker-28, docker-29"),
        ("name: x\nwires: §[lan]", "must be a mapping of names, not a list"),
        ("name: x\nwires: {§my lan: {}}", "must begin with a letter or digit"),
        ("name: x\nhosts: {§h1: }", "must be a mapping of keys, not nothing"),
        ("name: x\nhosts: {h1: {forwarding: §yes}}", "must be true or false, not the text 'yes'"),
        ("name: x\nhosts: {h1: {commands: §{a: b}}}", "must be command lines"),
        ("name: x\nhosts: {h1: {commands: §[5]}}", "must be command lines"),
        ("name: x\nsteps: [{do: {h1: §5}}]", "must be command lines"),
        ("name: x\nhosts: {h1: {firewall: {input: §accept}}}", "must be drop"),
        ("name: x\nhosts: {h1: {networks: {n: {driver: §macvlan}}}}", "must be ipvlan"),
        ("name: x\nhosts: {h1: {networks: {n: {driver_opts: {a: §[]}}}}}", "must be text"),
        ("name: x\nhosts: {h1: {networks: {n: {internal: §1}}}}", "must be true or false"),
        ("name: x\nhosts: {h1: {containers: {c: {networks: §5}}}}", "must be a mapping of names"),
        ("name: x\nhosts: {h1: {containers: {c: {networks: §[n, n]}}}}", "names 'n' twice"),
        ("name: x\nhosts: {h1: {containers: {c: {networks: {n: {gw_priority: §1.5}}}}}}", "whole number"),
        ("name: x\nexpect: §{reach: {}}", "must be a list, not a mapping"),
        ("name: x\nexpect: [§5]", "must be a mapping of keys"),
        ("name: x\nexpect: [{reach: {from: §[], to: a}}]", "at least one node"),
        ("name: x\nexpect: [{reach: {from: a, to: §5}}]", "must be a name or a list of names"),
        ("name: x\nexpect: [{reach: {from: a, to: b, ttl: §0}}]", "at least 1"),
        ("name: x\nexpect: [{reach: {from: a, to: b, ttl: §256}}]", "at most 255"),
        ("name: x\nexpect: [{reach: {from: a, to: b, proto: §tcp}}]", "icmp, udp"),
        ("name: x\nexpect: [{reach: {from: a, to: b, family: §v4}}]", "ipv4, ipv6"),
        ("name: x\nexpect: [{broadcast: {from: a, heard_by: §b}}]", "must be a list"),
        ("name: x\nexpect: [{broadcast: {from: a, heard_by: [], kind: §limitd}}]", "limited, directed, arp"),
        ("name: x\nexpect: [{addresses: {in: a, eth0: [§10.0.0.1]}}]", "must have a prefix length"),
        ("name: x\nexpect: [{resolves: {in: a, name: b, to: [§c]}}]", "IPv4 or IPv6 address"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_in_plain_words(text: str, words: str) -> None:
    assert words in refuse_one(f"{text}\n", ValueInvalid).what


def test_all_errors_of_a_file_are_raised_at_once_in_the_order_of_the_file() -> None:
    errors = refuse("""
        name: §X
        hosts:
          h1:
            §interface: {}
            forwarding: §1
            routes: [§{}]
        """)
    first = errors[0]
    assert str(first).split("\n")[0].startswith("lab.ipvlab.yaml:1:7: IPV104 ")
    assert [line.split(" ")[1] for line in str(first).split("\n") if line.startswith("lab.")] == [
        "IPV104",
        "IPV102",
        "IPV104",
        "IPV103",
    ]


def test_no_error_speaks_the_language_of_the_validator() -> None:
    errors = refuse("""
        name: §5
        wires: §[]
        hosts: {h1: {interfaces: {eth0: {wire: lan, mtu: §9, mac: §5, addresses: §{}}}, routes: [{to: §[]}]}}
        expect: [{fails: §[], on_wire: {wire: §[], from: §[a], to: §5}}, §~]
        """)
    for error in errors:
        for jargon in (
            "pydantic",
            "Input",
            "valid string",
            "dictionary",
            "tuple",
            "instance",
            "NoneType",
            "url",
        ):
            assert jargon not in str(error)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.ipvlab.yaml")), ids=lambda path: path.name)
def test_every_scenario_of_the_project_loads_and_contradicts_nothing(path: Path) -> None:
    check_scenario(load_scenario(path))


def test_importing_the_values_of_a_lab_loads_no_validator() -> None:
    code = (
        "import sys, ipvlab.spec.values; print([m for m in ('pydantic', 'ruamel.yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_error_has_no_others() -> None:
    with pytest.raises(SpecError) as caught:
        load_scenario_text("name: X\n", "x")
    assert caught.value.others == ()
