"""Attacks of a hostile program on the worker and the machine: none succeeds at the isolating levels."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from .variants import ORDINARY, is_root, offered

HARMLESS = {
    "namespaces": {"write_to_tmp_of_the_host"},  # its /tmp is its own
    # Its parent is bubblewrap's own process inside the namespaces, with the program's environment.
    "bubblewrap": {
        "write_to_tmp_of_the_host",
        "read_environment_of_the_parent",
        "leave_the_sandboxs_folder_by_descriptor",
        "signal_the_parent",
    },
}
ATTACKS = Path(__file__).with_name("attacks.py").read_text()


@pytest.fixture
def outcome(contain, driver, variant):
    """Return the outcome of each attack. The targets are real: the attacks succeed without isolation."""
    own = driver.folder / "worker"
    own.mkdir()
    secret = own / "secret"
    secret.write_text("secret")
    if variant.worker == "ordinary" and is_root():
        for path in (own, secret):
            os.chown(path, ORDINARY, ORDINARY)
    own.chmod(0o777)
    secret.chmod(0o666)  # access must be denied by a layer, not by file permissions
    tmp_probe = Path("/tmp") / f"bx-probe-{os.getpid()}"
    name = f"bx-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as by_path,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
    ):
        by_path.bind(str(own / "socket"))
        by_path.listen()
        datagram.bind(str(own / "datagram"))
        for path in ("socket", "datagram"):
            (own / path).chmod(0o777)
        abstract.bind("\0" + name)
        abstract.listen()
        targets = {
            "secret": str(secret),
            "outside": str(own / "written"),
            "tmp_probe": str(tmp_probe),
            "tcp": tcp.getsockname()[1],
            "unix": str(own / "socket"),
            "datagram": str(own / "datagram"),
            "abstract": name,
            "worker": driver.process.pid,
            "contained": variant.contains,
        }
        try:
            finished = contain(code=ATTACKS, env={"TARGETS": json.dumps(targets)})
            assert finished["ended"] == "exit", finished
            yield {
                **json.loads(finished["stdout"]),
                "_secret": secret.read_text() if secret.exists() else None,
                "_mode": secret.stat().st_mode & 0o777 if secret.exists() else None,
                "_left": sorted(path.name for path in own.iterdir()),
                "_tmp": tmp_probe.exists(),
            }
        finally:
            tmp_probe.unlink(missing_ok=True)
            shutil.rmtree(own)


@pytest.mark.contained
def test_no_attack_succeeds(outcome, variant):
    done = {name for name, what in outcome.items() if what == "done"}
    assert done - HARMLESS.get(variant.launcher, set()) == set(), {name: outcome[name] for name in done}
    assert not outcome["_tmp"]
    assert (outcome["_secret"], outcome["_mode"]) == ("secret", 0o666)
    assert outcome["_left"] == ["datagram", "secret", "socket"]


@pytest.mark.uncontained
def test_attacks_succeed_without_isolation(outcome):
    """Attacks that fail for another reason would prove nothing."""
    done = {name for name, what in outcome.items() if what == "done"}
    assert done >= {
        "read_secret",
        "write_outside",
        "tcp_to_loopback",
        "udp",
        "unix_socket_by_path",
        "unix_socket_by_abstract_name",
        "unix_datagram_through_a_pair",
        "see_the_worker",
        "see_many_processes",
        "hidden_memory",
        "shared_memory_segment",
    }


def test_this_machine_supports_an_isolating_level():
    assert any(variant.contains for variant in offered())
