"""URLs of R repositories, rewritten to packages that fit a machine: for tools that deploy what was made elsewhere.

    Rewriter().rewrite("https://packages.example.org/cran/__linux__/focal/latest", "auto", "jammy").url

Needs the standard library alone, and urllib3 to ask servers. `rewrite` and `decide` are the rules without asking.
"""

from entrepot.rewriting.asking import Rewriter
from entrepot.rewriting.rules import MODES, PORTABLE, Decision, Mode, decide, rewrite
from entrepot.rewriting.served import Distro, Served, read_status
from entrepot.rewriting.system import Host, read_os_release, this_host
from entrepot.rewriting.urls import Repository, parse

__all__ = [
    "MODES",
    "PORTABLE",
    "Decision",
    "Distro",
    "Host",
    "Mode",
    "Repository",
    "Rewriter",
    "Served",
    "decide",
    "parse",
    "read_os_release",
    "read_status",
    "rewrite",
    "this_host",
]
