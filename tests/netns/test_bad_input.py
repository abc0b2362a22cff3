"""Bad input from end to end: the place, the code, the exit code, and nothing left behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.traces import ipvlab, links, named_namespaces

GOOD = """\
name: bad-input
wires: {lan: {}}
hosts:
  h1:
    interfaces: {eth0: {wire: lan, addresses: [192.168.1.250/24]}}
    networks:
      n1:
        driver_opts: {parent: eth0, ipvlan_mode: l2}
        ipam: {config: [{subnet: 192.168.1.0/24}]}
    containers:
      a1: {networks: {n1: {ipv4_address: 192.168.1.11}}}
expect:
  - blocked: {from: a1, to: h1}
"""

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")


def write(folder: Path, text: str) -> Path:
    path = folder / "bad.ipvlab.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may read, which those of ``tmp_path`` are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def refuse(path: Path, place: str, *texts: str) -> None:
    """Run a file that is invalid, and prove that nothing was built for it."""
    before = links(), named_namespaces(), set(path.parent.iterdir())
    result = ipvlab("run", path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{path}:{place} "), result.stderr
    for text in texts:
        assert text in result.stderr, result.stderr
    assert (links(), named_namespaces(), set(path.parent.iterdir())) == before


def test_the_file_that_the_bad_ones_are_made_from_is_good(tmp_path: Path) -> None:
    result = ipvlab("run", write(tmp_path, GOOD))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("old", "new", "place", "texts"),
    [
        ("addresses: [", "adresses: [", "5:36: IPV102", ["Did you mean", "addresses"]),
        ("192.168.1.11}", "192.168.2.11}", "11:42: IPV206", ["192.168.2.11"]),
        ("{wire: lan", "{wire: lam", "5:31: IPV202", ["lam", "lan"]),
        ("driver_opts: {parent: eth0,", "driver_opts: {parent: lo,", "8:31: IPV201", ["loopback"]),
        ("ipvlan_mode: l2", "ipvlan_mode: l4", "8:50: IPV104", ["l4", "l2", "l3", "l3s"]),
        ("parent: eth0,", "parent: eth0.0,", "8:31: IPV104", ["1-4094"]),
        ("parent: eth0,", "parent: eth0.4095,", "8:31: IPV104", ["1-4094"]),
        (
            "[{subnet: 192.168.1.0/24}]",
            "[{subnet: 192.168.1.0/24}, {subnet: 192.168.1.128/25}]",
            "9:60: IPV207",
            ["192.168.1.128/25"],
        ),
        ("  - blocked: {from: a1", "  - blocked: {from: a9", "13:21: IPV203", ["a9"]),
    ],
    ids=lambda value: value if isinstance(value, str) and value.count(" IPV") else "",
)
def test_bad_input_is_refused_at_its_place_and_leaves_nothing(
    tmp_path: Path, old: str, new: str, place: str, texts: list[str]
) -> None:
    assert GOOD.count(old) == 1
    refuse(write(tmp_path, GOOD.replace(old, new)), place, *texts)


@pytest.mark.parametrize("vlan", ["0", "4095"])
def test_a_vlan_id_that_the_standard_reserves_is_refused(tmp_path: Path, vlan: str) -> None:
    text = GOOD.replace(
        "interfaces: {eth0:",
        f"interfaces: {{eth0: {{wire: lan}}, eth0.7: {{parent: eth0, vlan: {vlan}}}, eth1:",
    )
    refuse(write(tmp_path, text), "5:66: IPV104", vlan)


def test_a_name_used_twice_is_refused_at_its_second_place(tmp_path: Path) -> None:
    text = GOOD.replace("expect:", "  h1: {}\nexpect:")
    refuse(write(tmp_path, text), "12:3: IPV205", "h1")
    text = GOOD.replace("expect:", "routers:\n  h1: {}\nexpect:")
    refuse(write(tmp_path, text), "13:3: IPV205", "h1")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "- a\n- list\n",
        "name: [\n",
        "",
        "\x00\x01\x02",
        "just words",
        "a: 1\na: 2\n",
        "a: 1\n---\nb: 2\n",
    ],
)
def test_what_is_no_yaml_mapping_is_refused_with_a_place(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    result = ipvlab("run", path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{path}:")
    assert "IPV101" in result.stderr


def test_a_line_outside_the_grammar_is_refused_at_its_line(tmp_path: Path) -> None:
    text = GOOD.replace(
        "    containers:", "    commands: |\n      docker ps\n      rm -rf /\n    containers:"
    )
    refuse(write(tmp_path, text), "12:7: IPV105", "rm")


@pytest.mark.parametrize("name", ["eth0:1", "this-is-16-bytes", "eth 0", "ethé-ist-zu-lang"])
def test_an_interface_name_that_linux_refuses_is_refused(tmp_path: Path, name: str) -> None:
    refuse(write(tmp_path, GOOD.replace("{eth0: {wire", f'{{"{name}": {{wire')), "5:18: IPV104", name)


@pytest.mark.parametrize("name", ["ünï", "a.b-c_d", "fifteen-bytes-x"])
def test_an_interface_name_that_linux_takes_works(tmp_path: Path, name: str) -> None:
    text = GOOD.replace("{eth0: {wire", f"{{{name}: {{wire").replace("parent: eth0,", f"parent: {name},")
    text += f"  - links: {{in: h1, present: [{name}]}}\n"
    result = ipvlab("run", write(tmp_path, text))
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_bad_file_keeps_all_others_from_running(tmp_path: Path) -> None:
    (tmp_path / "a.ipvlab.yaml").write_text(GOOD)
    (tmp_path / "b.ipvlab.yaml").write_text("name: b\nnosuch: 1\n")
    result = ipvlab("run", tmp_path, "--json", tmp_path / "out.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert not (tmp_path / "out.json").exists()


def test_without_privileges_bpf_says_what_to_do_and_names_no_file(open_folder: Path) -> None:
    path = write(open_folder, GOOD)
    result = ipvlab("run", path, "--datapath", "bpf", prefix=NOBODY)
    assert (result.returncode, result.stdout) == (5, "")
    assert result.stderr.startswith("IPV501 ")
    assert "sudo" in result.stderr
    assert str(path) not in result.stderr


def test_without_privileges_auto_takes_what_the_doctor_finds_or_says_what_to_do(open_folder: Path) -> None:
    path = write(open_folder, GOOD)
    doctor, result = ipvlab("doctor", prefix=NOBODY), ipvlab("run", path, "-v", prefix=NOBODY)
    assert result.returncode == doctor.returncode
    if doctor.returncode == 0:
        name = doctor.stdout.splitlines()[-1].removeprefix("auto    takes ")
        assert f"note: datapath {name}" in result.stdout
    else:
        assert (doctor.returncode, result.stdout) == (5, "")
        assert result.stderr.startswith("IPV501 ")
        assert "sudo" in result.stderr
        assert str(path) not in result.stderr


def test_without_privileges_an_invalid_file_is_still_the_first_thing_told(open_folder: Path) -> None:
    path = write(open_folder, GOOD.replace("name:", "nmae:"))
    result = ipvlab("run", path, prefix=NOBODY)
    assert result.returncode == 2
    assert "IPV102" in result.stderr


@pytest.mark.parametrize("datapath", ["kernel", "bpf", "sim"])
def test_a_run_works_where_the_doctor_says_so_and_else_says_why_as_the_doctor_does(
    tmp_path: Path, datapath: str
) -> None:
    [line] = [line for line in ipvlab("doctor").stdout.splitlines() if line.startswith(datapath)]
    _, works, why = line.split(maxsplit=2)
    result = ipvlab("run", write(tmp_path, GOOD), "--datapath", datapath)
    assert result.returncode == {"yes": 0, "no": 5}[works], result.stdout + result.stderr
    if works == "no":
        assert why in result.stderr
        assert "IPV50" in result.stderr


def test_the_doctor_tells_what_privileges_would_fix() -> None:
    as_root, as_nobody = ipvlab("doctor"), ipvlab("doctor", prefix=NOBODY)
    assert as_root.returncode == 0
    assert "bpf     yes" in as_root.stdout
    assert "bpf     no" in as_nobody.stdout
    assert "fix: sudo ipvlab" in as_nobody.stdout


def test_a_plan_needs_no_privileges(open_folder: Path) -> None:
    path = write(open_folder, GOOD)
    result = ipvlab("plan", path, prefix=NOBODY)
    assert (result.returncode, result.stderr) == (0, "")
    assert "container a1" in result.stdout
