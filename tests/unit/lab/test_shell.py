"""Other programs: pipes between them, and what they write."""

import sys
from pathlib import Path

import pytest

from lab import apis, shell
from lab.errors import LabError
from lab.kubectl import Kubectl
from tests.support.alarm import alarm


def test_a_pipe_whose_reader_gives_up_ends(tmp_path: Path) -> None:
    with alarm(30):
        assert not shell.piped(["yes"], ["false"], tmp_path / "log")


def test_a_pipe_succeeds_when_both_do(tmp_path: Path) -> None:
    assert shell.piped(["echo", "a line"], ["cat"], tmp_path / "log")
    assert (tmp_path / "log").read_text() == "a line\n"
    assert not shell.piped(["false"], ["true"], tmp_path / "log")


def program(path: Path, text: str) -> Kubectl:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return Kubectl(program=path, kubeconfig=path, namespace="ns", env={})


def test_a_forward_goes_on_whatever_kubectl_writes(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    kubectl = program(
        tmp_path / "kubectl",
        "import pathlib, time\n"
        "print('Forwarding from 127.0.0.1:4711 -> 80', flush=True)\n"
        "print('Handling connection for 4711\\n' * 100000, flush=True)\n"
        f"pathlib.Path({str(ended)!r}).touch()\n"
        "time.sleep(60)\n",
    )

    with alarm(30), apis.forward(kubectl, "keystone", 80) as port:
        assert port == 4711
        while not ended.exists():
            pass


def test_a_forward_that_does_not_open_says_why(tmp_path: Path) -> None:
    kubectl = program(tmp_path / "kubectl", "print('error: no such service')")

    with pytest.raises(LabError) as failed, apis.forward(kubectl, "keystone", 80):
        pass

    assert failed.value.detail == "error: no such service"
