"""YAML 1.2 as a scenario file uses it: what is read, what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.errors import NameTaken, PathUnreadable, Position, SyntaxInvalid
from ipvlab.spec.load import load_scenario, load_scenario_text
from ipvlab.spec.source import resolve_plain
from tests.unit.spec.refusals import accept, dedent, refuse, refuse_one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.2.3.4", "1.2.3.4"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        (".", "."),
        ("e5", "e5"),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    resolved = resolve_plain(text)
    assert (type(resolved), resolved) == (type(value), value)


def test_an_unquoted_mac_of_digits_stays_a_text() -> None:
    loaded = load_scenario_text(
        dedent("""
        name: x
        wires: {lan: {}}
        hosts: {h1: {interfaces: {eth0: {wire: lan, mac: 02:00:00:00:00:10}}}}
        """),
        "x",
    )
    assert loaded.scenario.hosts["h1"].interfaces["eth0"].mac == "02:00:00:00:00:10"


@pytest.mark.parametrize("text", ["§", "§# nothing but a comment\n", "§---\n...\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    marked = text if text != "§---\n...\n" else "---\n§...\n"
    assert "empty" in refuse_one(marked, SyntaxInvalid).what


@pytest.mark.parametrize(("text", "top"), [("§- a\n- b\n", "list"), ("§just words\n", "single value")])
def test_a_file_whose_top_is_no_mapping_is_refused(text: str, top: str) -> None:
    assert top in refuse_one(text, SyntaxInvalid).what


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nhosts: {h1: {}\n§",
        "name: x\n  title§: y\n",
        "name: 'x\n§",
        "name: x\n§\ttitle: y\n",
        "name: x\ntitle: §@y\n",
        "name: x\ntitle: a§\x07b\n",
        'name: x\ntitle: "\\§q"\n',
    ],
)
def test_what_is_not_yaml_is_refused_where_the_scanner_stops(text: str) -> None:
    assert "not YAML 1.2" in refuse_one(text, SyntaxInvalid).what


def test_a_second_document_is_refused() -> None:
    refuse_one("name: x\n§---\nname: y\n", SyntaxInvalid)


def test_a_file_of_another_yaml_version_is_refused() -> None:
    assert "1.1" in refuse_one("§%YAML 1.1\n---\nname: x\n", SyntaxInvalid).what


def test_a_file_that_says_it_is_yaml_1_2_loads() -> None:
    accept("%YAML 1.2\n---\nname: x\n")


@pytest.mark.parametrize("tag", ["!!int", "!!binary", "!!python/object:os.system", "!mine"])
def test_a_tag_is_refused(tag: str) -> None:
    refuse_one(f"name: x\ntitle: §{tag} 5\n", SyntaxInvalid)


def test_the_string_tag_makes_a_text_of_a_number() -> None:
    assert load_scenario_text("name: x\ntitle: !!str 5\n", "x").scenario.title == "5"


@pytest.mark.parametrize("text", ['title: §"\\e[31m"', '§"a\\0b": x', 'about: §"\\uD800"'])
def test_a_control_character_written_as_an_escape_is_refused(text: str) -> None:
    assert "control character U+" in refuse_one(f"name: x\n{text}\n", SyntaxInvalid).what


def test_a_mapping_or_list_as_key_is_refused() -> None:
    refuse_one("name: x\n§[a, b]: c\n", SyntaxInvalid)


def test_an_anchored_value_is_the_same_wherever_its_alias_stands() -> None:
    loaded = load_scenario_text(
        dedent("""
        name: x
        wires: {lan: {}}
        hosts:
          h1:
            interfaces: {eth0: &port {wire: lan}}
          h2:
            interfaces: {eth0: *port}
        """),
        "x",
    )
    hosts = loaded.scenario.hosts
    assert hosts["h1"].interfaces == hosts["h2"].interfaces
    assert loaded.position("hosts", "h2", "interfaces", "eth0") == Position("x", 7, 24)
    assert loaded.position("hosts", "h2", "interfaces", "eth0", "wire") == Position("x", 5, 37)


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    refuse_one("name: x\nwires: &w {a: §*w}\n", SyntaxInvalid)


def test_an_alias_without_anchor_is_refused() -> None:
    refuse_one("name: x\nwires: §*w\n", SyntaxInvalid)


def test_aliases_of_aliases_do_not_grow_without_bound() -> None:
    lines = ["name: x", "about: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"k{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 20)]
    with pytest.raises(SyntaxInvalid, match="more than 200000 values"):
        load_scenario_text("\n".join(lines), "x")


def test_deep_nesting_is_refused_and_exhausts_no_stack() -> None:
    with pytest.raises(SyntaxInvalid, match="levels deep"):
        load_scenario_text("name: " + "[" * 5000, "x")


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("wires: {lan: {}, §lan: {}}", "wire"),
        ("hosts: {h1: {}, §h1: {}}", "host"),
        ("routers: {gw: {}, §gw: {}}", "router"),
        ("hosts: {h1: {networks: {a: {}, §a: {}}}}", "network"),
        ("hosts: {h1: {containers: {a: {}, §a: {}}}}", "container"),
        ("routers: {gw: {interfaces: {eth0: {wire: w}, §eth0: {wire: w}}}}\nwires: {w: {}}", "interface"),
    ],
)
def test_a_thing_declared_twice_under_one_name_is_a_name_taken(text: str, thing: str) -> None:
    assert thing in refuse_one(f"name: x\n{text}\n", NameTaken).what


@pytest.mark.parametrize("text", ["name: x\n§name: y\n", "name: x\nhosts: {h1: {routes: [], §routes: []}}\n"])
def test_any_other_key_written_twice_is_a_syntax_error(text: str) -> None:
    assert "twice" in refuse_one(text, SyntaxInvalid).what


def test_repeated_names_and_bad_values_are_reported_together() -> None:
    errors = refuse("name: §X\nwires: {a: {}, §a: {}}\n§titel: y\n")
    assert [error.code for error in errors] == ["IPV104", "IPV205", "IPV102"]


def test_a_folder_and_a_missing_file_are_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.ipvlab.yaml"):
        with pytest.raises(PathUnreadable) as caught:
            load_scenario(path)
        assert str(path) in str(caught.value)
        assert caught.value.where is None


def test_a_binary_file_is_refused_at_its_first_foreign_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.ipvlab.yaml"
    path.write_bytes(b"name: x\ntitle: \xc3\xa9\xff\n")
    with pytest.raises(SyntaxInvalid) as caught:
        load_scenario(path)
    assert caught.value.where == Position(str(path), 2, 9)


def test_a_file_of_nul_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ipvlab.yaml"
    path.write_bytes(b"name: x\n\x00\x00")
    with pytest.raises(SyntaxInvalid) as caught:
        load_scenario(path)
    assert caught.value.where == Position(str(path), 2, 1)


def test_a_file_that_never_ends_is_refused() -> None:
    with pytest.raises(SyntaxInvalid, match="longer than"):
        load_scenario(Path("/dev/zero"))


def test_a_byte_order_mark_moves_no_column(tmp_path: Path) -> None:
    path = tmp_path / "x.ipvlab.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: X\n")
    with pytest.raises(Exception, match="lower-case") as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}:1:7: IPV104 ")


def test_windows_line_ends_move_no_line() -> None:
    loaded = load_scenario_text(
        "name: x\r\nhosts:\r\n  h1:\r\n    commands: |\r\n      a b\r\n      c d\r\n", "x"
    )
    assert loaded.scenario.hosts["h1"].commands[:2] == ("a b", "c d")
    assert loaded.command_position("hosts", "h1", "commands", line=2) == Position("x", 6, 7)
