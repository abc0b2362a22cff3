"""What a user without privileges is told: which switch forbids namespaces, and what changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.datapath.kernel import fitness
from ipvlab.errors import PrivilegeMissing
from ipvlab.linux import rootless
from ipvlab.run import doctor

APPARMOR = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"


@pytest.mark.parametrize(
    ("sysctl", "value", "hint"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", APPARMOR),
        ("kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=10000"),
        ("kernel/apparmor_restrict_unprivileged_userns", "0", "run as root, for example: sudo ipvlab run …"),
    ],
)
def test_the_switch_that_forbids_is_named_with_the_command_that_changes_it(
    sysctl: str, value: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / sysctl
    path.parent.mkdir(parents=True)
    path.write_text(f"{value}\n")
    monkeypatch.setattr(rootless, "_SYSCTLS", tmp_path)

    def refuse(kinds: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(rootless, "unshare", refuse)
    monkeypatch.setattr("ipvlab.linux.rootless.os.listdir", lambda path: ["1"])
    with pytest.raises(PrivilegeMissing) as refused:
        rootless.make_namespaces()
    assert refused.value.hint == hint


def test_the_doctor_passes_the_reason_and_the_command_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def lack() -> None:
        raise PrivilegeMissing("this user may not make network namespaces")

    monkeypatch.setattr(doctor, "_try_kernel", lack)
    refusal = ("this user may not have a user namespace (Operation not permitted)", APPARMOR)
    monkeypatch.setattr(fitness, "refusal_without_root", lambda: refusal)
    found = doctor.examine("kernel")
    assert (found.works, found.is_entered, found.fix) == (False, False, APPARMOR)
    assert "in a user namespace: this user may not have a user namespace" in found.why
    assert isinstance(found.error, PrivilegeMissing)
    assert found.error.hint == APPARMOR


def test_the_doctor_needs_no_fix_where_a_user_namespace_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def lack() -> None:
        raise PrivilegeMissing("this user may not make network namespaces")

    monkeypatch.setattr(doctor, "_try_kernel", lack)
    monkeypatch.setattr(fitness, "refusal_without_root", lambda: None)
    found = doctor.examine("kernel")
    assert found.is_entered
    assert found.fix.startswith("none is needed")
