"""What runs guests on a node: on machines without KVM, with one that works, with one that does not.

The machines are simulated at libvirt: everything above it is the agent's own code.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from stackroles.agents import wire
from stackroles.agents.compute import (
    host_identity,
    kvm,
    node,
    probe_guest,
    probe_memory,
    virt_probe,
)
from stackroles.agents.compute.node import AgentError
from stackroles.agents.compute.probe_guest import Deadline, GuestModel
from stackroles.agents.compute.probe_memory import Memory, ProbeOutcome
from stackroles.agents.compute.probe_protocol import REASON_LIMIT, ProbeReport, ProbeSettings
from stackroles.agents.compute.virsh import Virsh, message_of

KVM = GuestModel(virt_type="kvm", cpu_mode="host-model", machine_type="pc")
QEMU = GuestModel(virt_type="qemu", cpu_mode="none", machine_type="pc")
# As QEMU 10.0 wrote it on a machine whose nested KVM cannot emulate an instruction of BMI2.
QEMU_LOG = """\
2026-11-26 14:50:00.000+0000: starting up libvirt version: 11.3.0, qemu version: 10.0.13
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
-name guest=stackroles-probe \\
-msg timestamp=on
2026-11-26T14:50:01.000000Z qemu-system-x86_64: of an earlier start
2026-11-26 14:57:00.000+0000: starting up libvirt version: 11.3.0, qemu version: 10.0.13
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
-accel kvm \\
-msg timestamp=on
KVM internal error. Suberror: 1
extra data[0]: 0x0000000000000001
emulation failure
RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000000
R8 =0000000000000001 R9 =0000000000000000 R10=0000000000000000 R11=0000000000000000
GDT=     0000000004777010 0000002f
EFER=0000000000000500
Code=05 83 fa 0f 77 b5 <c4> 42 69 f7 c0 49
2026-11-26T14:58:40.694907Z qemu-system-x86_64: terminating on signal 15 from pid 7 (libvirtd)
2026-11-26 14:58:40.911+0000: shutting down, reason=destroyed
"""


class Machine:
    """A node's libvirt whose guests go through the states given.

    Args:
        states: what libvirt says of the guest, the last for ever.
        console: what the guest prints when it is started.
        log: what QEMU logs then.
        refuses: why it cannot be started.
    """

    def __init__(
        self, folder: Path, *states: str, console: str = "", log: str = "", refuses: str = ""
    ) -> None:
        self.folder = folder
        self._states = [*states]
        self._console, self._log, self._refuses = console, log, refuses
        self.definition = ""
        self.spent = 0.0
        self.calls: list[str] = []

    def define(self, definition: Path) -> None:
        self.calls.append("define")
        self.definition = definition.read_text()

    def start(self, name: str) -> None:
        self.calls.append("start")
        if self._refuses:
            raise AgentError(self._refuses)
        (self.folder / "console.log").write_text(self._console)
        (self.folder / "qemu.log").write_text(self._log)

    def state(self, name: str) -> str:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    def processor_seconds(self, name: str) -> float:
        self.spent += 1.0
        return self.spent

    def remove(self, name: str) -> None:
        self.calls.append("remove")

    def run(self, model: GuestModel = KVM, deadline: Deadline | None = None) -> str:
        return probe_guest.run(
            self,
            model,
            folder=self.folder,
            log=self.folder / "qemu.log",
            deadline=deadline,
            wait=lambda _: None,
        )


@pytest.fixture(autouse=True)
def _not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chown", lambda *_: None)


GOOD = f"[ 0.5] {probe_guest.LINE} 6.12.0\n[ 0.6] reboot: Power down\n"


def test_a_guest_that_prints_its_line_and_powers_off_has_run(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "running (booted)", "shut off (shutdown)", console=GOOD)
    assert machine.run() == ""
    assert machine.calls == ["remove", "define", "start", "remove"]


def test_a_paused_guest_is_a_failure_with_qemus_own_message(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "running (booted)", "paused (unknown)", log=QEMU_LOG)
    assert machine.run() == (
        "the probe guest became paused (unknown); QEMU's log: KVM internal error. Suberror: 1; "
        "emulation failure; Code=05 83 fa 0f 77 b5 <c4> 42 69 f7 c0 49"
    )
    assert machine.calls[-1] == "remove"


def test_a_guest_that_libvirt_cannot_start_is_a_failure_with_its_message(tmp_path: Path) -> None:
    message = "2026-11-26T16:00:38.213602Z qemu-system-x86_64: -accel kvm: Could not access KVM"
    machine = Machine(tmp_path, "shut off (failed)", refuses=message)
    assert machine.run() == "qemu-system-x86_64: -accel kvm: Could not access KVM"
    assert machine.calls[-1] == "remove"


def test_a_guest_that_ends_without_its_line_is_a_failure_with_its_console(tmp_path: Path) -> None:
    console = "[ 0.9] Kernel panic - not syncing: no init\n"
    machine = Machine(tmp_path, "shut off (shutdown)", console=console)
    assert machine.run() == (
        "the probe guest ended before it printed its line; "
        "its console: [ 0.9] Kernel panic - not syncing: no init"
    )


def test_a_silent_guest_is_given_up_by_its_own_processor_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "running (booted)")
    failure = machine.run(deadline=Deadline(processor_seconds=5.0, seconds=1e9))
    assert failure == "the probe guest did not print its line within 6 s of processor time"


def test_a_guest_whose_processor_stands_still_is_given_up_by_the_clock(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "running (booted)")
    failure = machine.run(deadline=Deadline(processor_seconds=1e9, seconds=0.0))
    assert failure == "the probe guest did not print its line within 0 s"


def test_a_guest_that_does_not_end_after_its_line_is_a_failure(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "running (booted)", console=GOOD)
    failure = machine.run(deadline=Deadline(processor_seconds=1.0, seconds=1e9))
    assert "printed its line and did not end" in failure


def test_the_line_of_an_earlier_guest_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text(GOOD)
    assert "before it printed its line" in Machine(tmp_path, "shut off (shutdown)").run()


@pytest.mark.parametrize(
    ("model", "cpu"),
    [
        (QEMU, None),
        (KVM, {"mode": "host-model", "check": "partial"}),
        (
            GuestModel(
                virt_type="kvm",
                cpu_mode="custom",
                cpu_model="Nehalem",
                cpu_flags=("+vmx", "-aes"),
                machine_type="q35",
            ),
            {"mode": "custom", "match": "exact"},
        ),
    ],
)
def test_the_guest_is_defined_as_nova_defines_guests(
    tmp_path: Path, model: GuestModel, cpu: dict[str, str] | None
) -> None:
    machine = Machine(tmp_path, "shut off (shutdown)", console=GOOD)
    machine.run(model)
    domain = ET.fromstring(machine.definition)  # noqa: S314 - our own
    assert domain.get("type") == model.virt_type
    machine_type = domain.find("os/type")
    assert machine_type is not None
    assert machine_type.get("machine") == model.machine_type
    assert bool(domain.findall("clock/timer")) is (model.virt_type == "kvm")
    found = domain.find("cpu")
    assert (dict(found.attrib) if found is not None else None) == cpu
    if found is not None and model.cpu_model:
        assert [f.attrib for f in found.iter("feature")] == [
            {"policy": "require", "name": "vmx"},
            {"policy": "disable", "name": "aes"},
        ]


def outcomes(**failures: str) -> Callable[[GuestModel], ProbeOutcome]:
    def attempt(model: GuestModel) -> ProbeOutcome:
        at = {"kvm": "2026-01-01T00:00:01+00:00", "qemu": "2026-01-01T00:00:02+00:00"}
        return ProbeOutcome(failure=failures[model.virt_type], seconds=1.0, at=at[model.virt_type])

    return attempt


def test_kvm_that_runs_a_kernel_is_taken() -> None:
    verdict = virt_probe.judge("Auto", {}, has_kvm=True, attempt=outcomes(kvm=""))
    assert (verdict.model, verdict.proven) == (KVM, True)
    assert verdict.reason == "a probe guest ran under KVM (1.0 s)"


def test_without_kvm_qemu_has_to_run_a_kernel() -> None:
    verdict = virt_probe.judge("Auto", {}, has_kvm=False, attempt=outcomes(qemu=""))
    assert (verdict.model, verdict.proven) == (QEMU, True)
    assert verdict.reason == "the node has no /dev/kvm; a probe guest ran under QEMU (1.0 s)"


def test_kvm_that_runs_no_kernel_gives_way_to_qemu_and_says_why() -> None:
    attempt = outcomes(kvm="KVM internal error. Suberror: 1", qemu="")
    verdict = virt_probe.judge("Auto", {}, has_kvm=True, attempt=attempt)
    assert (verdict.model, verdict.proven) == (QEMU, True)
    assert verdict.reason.startswith("KVM: KVM internal error. Suberror: 1; a probe guest ran")


def test_a_node_on_which_neither_runs_is_not_proven() -> None:
    attempt = outcomes(kvm="emulation failure", qemu="no such emulator")
    verdict = virt_probe.judge("Auto", {}, has_kvm=True, attempt=attempt)
    assert (verdict.model, verdict.proven) == (QEMU, False)
    assert verdict.reason == "KVM: emulation failure; QEMU: no such emulator"
    assert verdict.at == "2026-01-01T00:00:02+00:00"


@pytest.mark.parametrize(
    ("has_kvm", "expected"), [(True, "KVM: emulation failure"), (False, "the node has no /dev/kvm")]
)
def test_kvm_that_the_pool_asks_for_is_not_replaced_by_qemu(has_kvm: bool, expected: str) -> None:
    attempt = outcomes(kvm="emulation failure")
    verdict = virt_probe.judge("kvm", {}, has_kvm=has_kvm, attempt=attempt)
    assert (verdict.model, verdict.proven, verdict.reason) == (KVM, False, expected)


def test_qemu_that_the_pool_asks_for_is_tried_alone() -> None:
    verdict = virt_probe.judge("qemu", {}, has_kvm=True, attempt=outcomes(qemu=""))
    assert (verdict.model, verdict.proven) == (QEMU, True)


NOVA_CONF = """\
[DEFAULT]
host = n1
[libvirt]
cpu_mode = custom
cpu_models = "Nehalem, Westmere"
cpu_model_extra_flags = -aes
hw_machine_type = aarch64=virt,x86_64=q35
connection_uri = qemu:///system?a=%b
"""


def test_the_users_own_options_of_nova_are_tried() -> None:
    options = virt_probe.libvirt_options(NOVA_CONF)
    for virt_type in ("kvm", "qemu"):
        assert virt_probe.guest_model(virt_type, options) == GuestModel(
            virt_type=virt_type,
            cpu_mode="custom",
            cpu_model="Nehalem",
            cpu_flags=("-aes",),
            machine_type="q35",
        )


def test_qemu_does_not_get_the_hosts_processor() -> None:
    options = {"cpu_mode": "host-passthrough"}
    assert virt_probe.guest_model("qemu", options).cpu_mode == "none"
    assert virt_probe.guest_model("kvm", options).cpu_mode == "host-passthrough"


@pytest.mark.parametrize("model", [KVM, QEMU])
def test_nova_gets_exactly_what_the_guest_ran_with(model: GuestModel) -> None:
    assert virt_probe.libvirt_options(virt_probe.nova_options(model)) == {
        "virt_type": model.virt_type,
        "cpu_mode": model.cpu_mode,
        "hw_machine_type": f"x86_64={model.machine_type}",
    }


CPUINFO = "processor : 0\nmodel name : EPYC\nflags : bmi2 avx\n\nprocessor : 1\n"
KEY = {
    "boot": "b1",
    "kernel": "6.18",
    "qemu": "QEMU 10.0.13",
    "cpuinfo": CPUINFO,
    "image": "i",
    "device": "0 600",
}
RAN = ProbeOutcome(failure="", seconds=2.0, at="2026-01-01T00:00:00+00:00")


def test_what_has_run_is_not_run_again(tmp_path: Path) -> None:
    held, file = probe_memory.key(**KEY), tmp_path / "probe.json"
    probe_memory.save(file, held, Memory(outcomes={probe_memory.label(KVM): RAN}))
    memory = probe_memory.load(file, held, "")
    attempt, _ = virt_probe.attempts(memory, outcomes(kvm="tried again"))
    assert attempt(KVM) == RAN


@pytest.mark.parametrize(
    "change",
    [
        {"boot": "b2"},
        {"kernel": "6.19"},
        {"qemu": "QEMU 10.0.14"},
        {"cpuinfo": CPUINFO.replace("bmi2", "")},
        {"image": "j"},
        {"device": "36 660"},
    ],
)
def test_another_boot_kernel_qemu_processor_or_image_has_to_show_it_anew(
    tmp_path: Path, change: dict[str, str]
) -> None:
    file, memory = tmp_path / "probe.json", Memory(outcomes={probe_memory.label(KVM): RAN})
    probe_memory.save(file, probe_memory.key(**KEY), memory)
    assert probe_memory.load(file, probe_memory.key(**KEY | change), "").outcomes == {}


def test_another_model_has_to_show_it_anew() -> None:
    memory = Memory(outcomes={probe_memory.label(KVM): RAN})
    attempt, used = virt_probe.attempts(memory, outcomes(qemu=""))
    assert attempt(QEMU) != RAN
    assert [*used] == [probe_memory.label(QEMU)]


def test_a_request_is_answered_once(tmp_path: Path) -> None:
    held, file = probe_memory.key(**KEY), tmp_path / "probe.json"
    probe_memory.save(file, held, Memory(outcomes={probe_memory.label(KVM): RAN}))
    asked = probe_memory.load(file, held, "r1")
    assert (asked.outcomes, asked.request) == ({}, "r1")
    probe_memory.save(file, held, Memory(outcomes={probe_memory.label(KVM): RAN}, request="r1"))
    for request in ("r1", ""):
        again = probe_memory.load(file, held, request)
        assert ([*again.outcomes], again.request) == ([probe_memory.label(KVM)], "r1")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"key": {}, "request": "", "outcomes": []}'])
def test_a_damaged_memory_remembers_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "probe.json"
    file.write_text(content)
    assert probe_memory.load(file, probe_memory.key(**KEY), "r") == Memory(request="r")


def test_a_report_is_written_under_the_names_of_the_status() -> None:
    report = ProbeReport(virt_type="kvm", proven=False, reason="no", request="r", compute_id="c")
    assert virt_probe.termination_message(report) == (
        '{"virtType": "kvm", "proven": false, "virtReason": "no", "cpuMode": "", "machineType": "",'
        ' "probedAt": "", "request": "r", "computeId": "c", "hostUuid": ""}'
    )
    assert wire.loads(ProbeReport, '{"virtType": "kvm", "computeId": "c"}') == ProbeReport(
        virt_type="kvm", compute_id="c"
    )


def test_the_longest_report_fits_into_a_termination_message() -> None:
    reason = "\N{SLIGHTLY SMILING FACE} " * 2500
    report = ProbeReport(virt_type="kvm", reason=reason, request="r" * 253)
    text = virt_probe.termination_message(report)
    assert len(text.encode()) <= node.TERMINATION_LOG_LIMIT
    kept = len(wire.loads(ProbeReport, text).reason)
    assert REASON_LIMIT - 10 < kept <= REASON_LIMIT


def device(tmp_path: Path, mode: int) -> Path:
    file = tmp_path / "kvm"
    file.touch()
    file.chmod(mode)
    return file


def test_guests_get_a_device_that_was_roots_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[tuple[object, ...]] = []
    monkeypatch.setattr(os, "chown", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(kvm, "_group_of", lambda _: 0)
    file = device(tmp_path, 0o600)
    assert kvm.share(file) == kvm.GROUP
    assert given == [(file, -1, kvm.GROUP)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o660


def test_guests_get_a_devices_own_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kvm, "_group_of", lambda _: 104)
    file = device(tmp_path, 0o660)
    assert kvm.share(file) == 104
    assert stat.S_IMODE(file.stat().st_mode) == 0o660


def test_a_device_for_everybody_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kvm, "_group_of", lambda _: 0)
    file = device(tmp_path, 0o666)
    assert kvm.share(file) == kvm.NOVA
    assert stat.S_IMODE(file.stat().st_mode) == 0o666


def test_who_may_open_the_device_is_part_of_what_was_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kvm, "_group_of", lambda _: 36)
    assert kvm.access(tmp_path / "kvm") == "absent"
    assert kvm.access(device(tmp_path, 0o660)) == "36 660"


def test_guests_of_a_node_without_kvm_have_novas_group(tmp_path: Path) -> None:
    assert kvm.share(tmp_path / "kvm") == kvm.NOVA


def fake_virsh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> Virsh:
    program = tmp_path / "virsh"
    program.write_text(f"#!/bin/sh\nshift 3\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Virsh()


def test_virsh_failing_gives_libvirts_own_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    errors = "error: Failed to start domain 'x'\nerror: internal error: no KVM\nCould not access\n"
    assert message_of(errors) == "internal error: no KVM Could not access"
    virsh = fake_virsh(monkeypatch, tmp_path, f"printf '%s' \"{errors}\" >&2; exit 1")
    with pytest.raises(AgentError, match=r"^internal error: no KVM Could not access$"):
        virsh.start("x")
    assert not virsh.answers()


def test_virsh_is_asked_for_state_time_and_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = """case "$1" in
domstate) echo "paused (unknown)";;
domstats) printf "Domain: 'x'\n  vcpu.current=1\n  vcpu.0.time=2500000000\n";;
version) printf "Using API: QEMU 11.3.0\nRunning hypervisor: QEMU 10.0.13\n";;
esac"""
    virsh = fake_virsh(monkeypatch, tmp_path, script)
    assert virsh.state("x") == "paused (unknown)"
    assert virsh.processor_seconds("x") == 2.5
    assert virsh.version() == "QEMU 10.0.13"


def test_a_libvirt_without_an_emulator_answers_and_has_no_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (
        """[ "$1" != version ] || { echo "error: Cannot find suitable emulator" >&2; exit 1; }"""
    )
    virsh = fake_virsh(monkeypatch, tmp_path, script)
    assert virsh.answers()
    assert virt_probe._version(virsh) == "unknown"
    assert "Cannot find suitable emulator" in capsys.readouterr().out


def test_a_guest_that_ends_while_it_is_removed_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    script = f"""echo "$1" >> {log}
case "$1" in
list) echo x;;
domstate) if grep -q destroy {log}; then echo "shut off (shutdown)"; else echo running; fi;;
destroy) echo "error: domain is not running" >&2; exit 1;;
esac"""
    fake_virsh(monkeypatch, tmp_path, script).remove("x")
    assert log.read_text().split() == ["list", "domstate", "destroy", "domstate", "undefine"]


def test_an_image_without_a_probe_guest_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="no probe guest"):
        probe_guest.prepare(tmp_path / "none", tmp_path / "folder")


def test_kernel_and_initramfs_are_copied_where_libvirtd_reads_them(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    for text in ("one", "two"):
        for name in ("vmlinuz", "initrd"):
            (source / name).write_text(text)
        probe_guest.prepare(source, folder)
        assert [(folder / n).read_text() for n in ("vmlinuz", "initrd")] == [text, text]


def test_the_program_reports_and_a_restart_costs_no_guest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    guests: list[GuestModel] = []

    def probe(_: Virsh, model: GuestModel) -> ProbeOutcome:
        guests.append(model)
        failure = "emulation failure" if model.virt_type == "kvm" else ""
        return ProbeOutcome(failure=failure, seconds=1.0, at="2026-01-01T00:00:00+00:00")

    fake_virsh(monkeypatch, tmp_path, "echo 'Running hypervisor: QEMU 10.0.13'")
    files = {
        name: tmp_path / name
        for name in ("nova.conf", "node.conf", "termination-log", "kvm", "uuid")
    }
    files["nova.conf"].write_text("[libvirt]\n")
    files["termination-log"].touch()
    files["kvm"].touch()
    (tmp_path / "compute.json").write_text(
        wire.dumps(ProbeSettings(cloud="ns/demo", virt_type="Auto"))
    )
    monkeypatch.setattr(virt_probe, "probe", probe)
    monkeypatch.setattr(probe_guest, "prepare", lambda _: None)
    monkeypatch.setattr(virt_probe, "STATE", tmp_path)
    monkeypatch.setattr(virt_probe, "NOVA_CONFIG", files["nova.conf"])
    monkeypatch.setattr(virt_probe, "NODE_CONFIG", files["node.conf"])
    monkeypatch.setattr(host_identity, "HOST_UUID", files["uuid"])
    monkeypatch.setattr(kvm, "DEVICE", files["kvm"])
    monkeypatch.setattr(node, "SETTINGS", tmp_path / "compute.json")
    monkeypatch.setattr(node, "TERMINATION_LOG", files["termination-log"])
    monkeypatch.setenv("NODE_NAME", "n1")
    virt_probe.program(())
    virt_probe.program(())
    assert [model.virt_type for model in guests] == ["kvm", "qemu"]
    report = wire.loads(ProbeReport, files["termination-log"].read_text())
    assert (report.virt_type, report.proven, report.request) == ("qemu", True, "")
    assert "virt_type = qemu" in files["node.conf"].read_text()

    files["node.conf"].unlink()
    monkeypatch.setenv("PROBE_REQUEST", "r1")
    virt_probe.program(("again",))
    assert len(guests) == 4
    assert not files["node.conf"].exists()
    report = wire.loads(ProbeReport, files["termination-log"].read_text())
    assert report.request == "r1"
