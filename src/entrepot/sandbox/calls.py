"""The system calls that a build does without: a seccomp filter, as the kernel takes it.

Most of them fail in a user namespace anyway; here they don't reach the kernel's code at all. Others would take memory
that nobody counts as a process's (System V shared memory, memfd) or lead out of the network namespace (AF_VSOCK, which
on a virtual machine reaches its host).
"""

from __future__ import annotations

import errno
import platform
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_X32 = 0x40000000
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, 16)  # 16: AF_NETLINK


@dataclass(frozen=True, slots=True)
class _Machine:
    """What the kernel calls a machine, its numbers of calls that are looked into, and of those that are refused."""

    audit: int
    clone: int
    socket: int
    refused: Mapping[str, int]


_COMMON = {
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427},
    **{"open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433},
    **{"clone3": 435, "pidfd_getfd": 438, "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447},
}
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        clone=56,
        socket=41,
        refused={
            **{"shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240, "memfd_create": 319},
            **{"ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311},
            **{"mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308},
            **{"open_by_handle_at": 304, "fanotify_init": 300, "quotactl": 179, "swapon": 167, "swapoff": 168},
            **{"add_key": 248, "request_key": 249, "keyctl": 250, "syslog": 103, "acct": 163, "reboot": 169},
            **{"sethostname": 170, "setdomainname": 171, "settimeofday": 164, "clock_settime": 227},
            **{"clock_adjtime": 305, "init_module": 175, "finit_module": 313, "delete_module": 176},
            **{"kexec_load": 246, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298},
            **{"migrate_pages": 256, "move_pages": 279},
            **_COMMON,
        },
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        socket=198,
        refused={
            **{"shmget": 194, "semget": 190, "msgget": 186, "mq_open": 180, "memfd_create": 279},
            **{"ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271},
            **{"mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268},
            **{"open_by_handle_at": 265, "fanotify_init": 262, "quotactl": 60, "swapon": 224, "swapoff": 225},
            **{"add_key": 217, "request_key": 218, "keyctl": 219, "syslog": 116, "acct": 89, "reboot": 142},
            **{"sethostname": 161, "setdomainname": 162, "settimeofday": 170, "clock_settime": 112},
            **{"clock_adjtime": 266, "init_module": 105, "finit_module": 273, "delete_module": 106},
            **{"kexec_load": 104, "kexec_file_load": 294, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241},
            **{"migrate_pages": 238, "move_pages": 239},
            **_COMMON,
        },
    ),
}
_MISSING = {"shmget", "semget", "msgget", "mq_open", "memfd_create", "memfd_secret", "clone3", "io_uring_setup"}
"""Calls of which programs are told that this kernel lacks them (ENOSYS): they know another way then."""


class _Step(NamedTuple):
    code: int
    yes: int
    no: int
    value: int


def syscall_filter() -> bytes | None:
    """The filter's program (struct sock_filter[]); None for machines whose calls are not known here."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return None
    return b"".join(struct.pack("=HBBI", *step) for step in _program(machine, is_x86=platform.machine() == "x86_64"))


def _program(machine: _Machine, *, is_x86: bool) -> Iterator[_Step]:
    """Each rule jumps over its own answer, so no jump is long."""
    yield _Step(_LOAD, 0, 0, _MACHINE_AT)
    yield _Step(_EQUAL, 1, 0, machine.audit)
    yield _refuse(errno.ENOSYS)  # calls of the 32-bit kind have other numbers
    yield _Step(_LOAD, 0, 0, _NUMBER_AT)
    if is_x86:
        yield _Step(_AT_LEAST, 0, 1, _X32)
        yield _refuse(errno.ENOSYS)
    for name, number in machine.refused.items():
        yield _Step(_EQUAL, 0, 1, number)
        yield _refuse(errno.ENOSYS if name in _MISSING else errno.EPERM)
    yield _Step(_EQUAL, 0, 4, machine.clone)
    yield _Step(_LOAD, 0, 0, _FIRST_ARGUMENT_AT)
    yield _Step(_ANY_BIT, 0, 1, _NEW_NAMESPACES)
    yield _refuse(errno.EPERM)
    yield _Step(_RETURN, 0, 0, _ALLOW)
    yield _Step(_EQUAL, 0, len(_FAMILIES) + 2, machine.socket)
    yield _Step(_LOAD, 0, 0, _FIRST_ARGUMENT_AT)
    for at, family in enumerate(_FAMILIES):
        yield _Step(_EQUAL, len(_FAMILIES) - at, 0, family)
    yield _refuse(errno.EAFNOSUPPORT)
    yield _Step(_RETURN, 0, 0, _ALLOW)


def _refuse(number: int) -> _Step:
    return _Step(_RETURN, 0, 0, _ERRNO | number)
