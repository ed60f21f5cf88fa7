"""A hostile program: tries every attack and prints the outcomes. Run as a text, never imported."""

# ruff: noqa: SIM115

import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"
targets = json.loads(os.environ["TARGETS"])


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


OPEN_AT_START = [fd for fd in range(3, 256) if is_open(fd)]


def syscall(x86, arm, *arguments):
    result = libc.syscall(ctypes.c_long(arm if ARM else x86), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read_secret():
    return open(targets["secret"]).read()


def read_own_folder_of_the_worker():
    return os.listdir(os.path.dirname(targets["secret"]))


def write_outside():
    open(targets["outside"], "w").write("x")


def append_outside():
    open(targets["secret"], "a").write("x")


def truncate_outside():
    os.truncate(targets["secret"], 0)


def change_mode_outside():
    os.chmod(targets["secret"], 0o600)


def change_times_outside():
    os.utime(targets["secret"])


def rename_outside():
    os.rename(targets["secret"], targets["secret"] + ".gone")


def link_outside():
    os.link(targets["secret"], "linked")
    return open("linked").read()


def symlink_to_secret():
    os.symlink(targets["secret"], "pointer")
    return open("pointer").read()


def write_to_usr():
    open("/usr/batch-was-here", "w")


def write_to_tmp_of_the_host():
    open(targets["tmp_probe"], "w").write("x")
    return os.stat(targets["tmp_probe"]).st_ino


def tcp_to_loopback():
    socket.create_connection(("127.0.0.1", targets["tcp"]), timeout=1).close()


def tcp_over_ipv6():
    socket.socket(socket.AF_INET6).connect(("::1", targets["tcp"]))


def udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", targets["tcp"]))


def raw_socket():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)


def netlink():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)


def vsock():
    socket.socket(40, socket.SOCK_STREAM)


def unix_socket_by_path():
    socket.socket(socket.AF_UNIX).connect(targets["unix"])


def unix_socket_by_abstract_name():
    socket.socket(socket.AF_UNIX).connect("\0" + targets["abstract"])


def unix_datagram_through_a_pair():
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", targets["datagram"])


def signal_the_worker():
    os.kill(targets["worker"], 0)


def signal_the_parent():
    os.kill(os.getppid() if os.getppid() > 1 else targets["worker"], 0)


def signal_every_process():
    if targets["contained"]:
        os.kill(-1, 15)  # returns 0 even when no process may be signalled
    raise OSError("the driver's next answer proves that it was not signalled")


def signal_through_a_file():
    import fcntl

    reader, _ = os.pipe()
    fcntl.fcntl(reader, 8, targets["worker"])  # F_SETOWN


def limit_the_worker():
    resource.prlimit(targets["worker"], resource.RLIMIT_NOFILE)


def slow_the_worker():
    os.setpriority(os.PRIO_PROCESS, targets["worker"], 19)


def trace_the_worker():
    syscall(101, 117, 0x4206, targets["worker"], None, None)  # PTRACE_SEIZE


def trace_a_sibling():
    child = os.fork()
    if not child:
        signal.pause()
    try:
        syscall(101, 117, 16, child, None, None)
    finally:
        try:
            os.kill(child, 9)
        except OSError:
            os.kill(0, 9)


def read_memory_of_the_worker():
    open(f"/proc/{targets['worker']}/mem", "rb").read(1)


def read_memory_of_the_worker_by_call():
    buffer = ctypes.create_string_buffer(8)
    vector = struct.pack("PQ", ctypes.addressof(buffer), 8)
    remote = struct.pack("PQ", 4096, 8)
    syscall(310, 270, targets["worker"], vector, 1, remote, 1, 0)


def see_the_worker():
    return os.listdir(f"/proc/{targets['worker']}/task")


def see_many_processes():
    count = sum(name.isdigit() for name in os.listdir("/proc"))
    assert count > 5, count


def read_environment_of_the_worker():
    assert b"canary" in open(f"/proc/{targets['worker']}/environ", "rb").read()


def read_environment_of_the_parent():
    open(f"/proc/{os.getppid()}/environ", "rb").read(1)


def find_the_workers_secret_in_own_environment():
    assert "canary" in str(os.environ)


def inherited_descriptors():
    assert OPEN_AT_START, OPEN_AT_START


def new_user_namespace():
    syscall(272, 97, 0x10000000)


def new_user_namespace_by_clone():
    pid = syscall(56, 220, 0x10000000 | 17, None, None, None, None)
    if pid == 0:
        os._exit(0)


def new_user_namespace_by_clone3():
    arguments = ctypes.create_string_buffer(struct.pack("=8Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64)
    pid = syscall(435, 435, arguments, 64)
    if pid == 0:
        os._exit(0)


def enter_namespace():
    syscall(308, 268, os.open("/proc/self/ns/uts", os.O_RDONLY), 0)


def mount_something():
    syscall(165, 40, b"none", b"/tmp", b"tmpfs", 0, None)


def change_root():
    os.chroot("/usr")


def become_root():
    os.setuid(0)


def be_root():
    assert os.getuid() == 0


def gain_privileges_by_setuid_program():
    assert "NoNewPrivs:\t0" in open("/proc/self/status").read()


def have_capabilities():
    found = [line for line in open("/proc/self/status") if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb"))]
    assert any(int(line.split()[1], 16) for line in found)


def keyring():
    syscall(250, 219, 0, -3, 1)


def io_uring():
    syscall(425, 425, 1, ctypes.create_string_buffer(256))


def userfaultfd():
    syscall(323, 282, 0)


def bpf():
    syscall(321, 280, 0, ctypes.create_string_buffer(64), 64)


def perf():
    syscall(298, 241, ctypes.create_string_buffer(struct.pack("=II", 1, 112), 112), 0, -1, -1, 0)


def set_the_clock():
    syscall(227, 112, 0, struct.pack("qq", 1_000_000_000, 0))


def hidden_memory():
    os.memfd_create("hidden")


def shared_memory_segment():
    syscall(29, 194, 0, 1 << 20, 0o1600)


def open_by_handle():
    syscall(304, 265, -100, ctypes.create_string_buffer(64), 0)
    raise AssertionError


def open_by_handle_is_refused_with_another_error():
    try:
        syscall(304, 265, -100, ctypes.create_string_buffer(64), 0)
    except PermissionError:
        raise
    except OSError:
        return  # the call itself was allowed


def type_into_the_terminal():
    import fcntl

    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x5412, b"x")


def core_pattern():
    open("/proc/sys/kernel/core_pattern", "w").write("|/job/attack.py")


def system_request():
    open("/proc/sysrq-trigger", "w")


def disks():
    assert [name for name in os.listdir("/dev") if name.startswith(("sd", "vd", "nvme", "mem", "kmsg", "loop"))]


def make_a_device():
    os.mknod("device", 0o20666, os.makedev(1, 1))


def other_personality():
    syscall(135, 92, 0x0040000)  # no address randomisation


def call_newer_than_the_filter():
    try:
        syscall(460, 460, 0)  # lsm_set_self_attr: exists from Linux 6.8 on
    except OSError as error:
        if error.errno == 38:
            raise


def raise_own_limit():
    resource.setrlimit(resource.RLIMIT_NPROC, (4096, 4096))


def leave_the_sandboxs_folder_by_descriptor():
    os.listdir(f"/proc/{os.getppid()}/cwd")


def thirty_two_bit_calls():
    import mmap

    if ARM:
        raise OSError("no such interface")
    code = mmap.mmap(-1, 4096, prot=7)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid by int 0x80
    child = os.fork()
    if not child:
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0


attacks = [
    (name, what)
    for name, what in list(globals().items())
    if callable(what) and getattr(what, "__module__", "") == "__main__" and name not in ("syscall", "is_open")
]
outcome = {}
for name, attack in attacks:
    try:
        attack()
        outcome[name] = "done"
    except BaseException as error:
        outcome[name] = f"{type(error).__name__}: {error}"
sys.stdout.write(json.dumps(outcome))
