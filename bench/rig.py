"""What is measured: a work folder with CRAN's files, nginx over them and over a static tree, and Entrepot.

Everything listens on loopback only, and whatever was started here is ended here, by its own process id.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import urllib3

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT.parent / "shared" / "tools"
MAKE_MIRROR = TOOLS / "make-cran-mirror"
CRAN_CHANGES = TOOLS / "cran-packages-at"
MARK = ".entrepot-bench"
INDEX = "/cran/latest/src/contrib/PACKAGES.gz"
INSTALLATIONS = ("cran", "few", "pypi", "names", "peers")
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2024, 12, 31)
_PROXIES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"})


class Fault(Exception):
    """Something that ends the run or a cell, in one line for whoever started it."""


class LeftOut(Exception):
    """A cell that can't be measured here, because of something that is no fault; the reason in one line."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and how long it took until its last byte, in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Site:
    """One HTTP server on loopback, asked over one kept connection."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes] | None = None) -> None:
        self.name, self.port, self.process = name, port, process
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=1, retries=False, timeout=300)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        json: Any = None,
        body: bytes | None = None,
    ) -> Reply:
        """One request, its whole answer as it came over the wire."""
        more: dict[str, Any] = {"body": body} if json is None else {"json": json}
        began = time.perf_counter()
        answer = self._pool.request(
            method, path, headers=dict(headers or {}), decode_content=False, redirect=False, **more
        )
        took = time.perf_counter() - began
        names = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, names, answer.data, took)

    def ask_well(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """The same; raises Fault unless the answer is 200 and has a body."""
        reply = self.ask(path, headers)
        if reply.status != 200 or not reply.body:
            said = " ".join(reply.body[:200].decode(errors="replace").split())
            raise Fault(f"{self.name} answered {reply.status} to {path}: {said}")
        return reply

    def cpu(self) -> float:
        """Seconds of CPU of its process and the living children of it."""
        return sum(_cpu(pid) for pid in [self.pid, *_children(self.pid)])

    def memory(self) -> tuple[float, float]:
        """Memory of its process now and at most so far, in MB (VmRSS, VmHWM)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        told = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return _megabytes(told["VmRSS"]), _megabytes(told["VmHWM"])


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ran to its end: wall and CPU seconds, and its largest memory in MB."""

    seconds: float
    cpu: float
    peak: float
    output: str


class Rig:
    """The work folder, the processes over it, and the dates that were asked already."""

    def __init__(self, work: Path, *, days: tuple[str, str], mirrors: tuple[Path, Path] | None) -> None:
        self.work, self.days = work, days
        self.upstream, self.static, self.logs = work / "upstream", work / "static", work / "logs"
        self._given = mirrors
        self._processes: list[subprocess.Popen[bytes]] = []
        self._random = random.Random(20250114)
        self._asked: set[date] = set()
        self.nginx: Site
        self.upstream_site: Site

    def __enter__(self) -> Rig:
        for folder in (self.upstream, self.static, self.logs, *(self.work / name for name in INSTALLATIONS)):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            end(process)

    # What is served

    def mirror(self, which: int) -> Path:
        """The files of a whole CRAN mirror on one of the two days; the second is the first's folder a day later."""
        if self._given:
            return self._given[which]
        day = self.days[which]
        folder = self.work / f"mirror-{day}"
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            if which:
                shutil.copytree(self.mirror(0), folder, ignore=shutil.ignore_patterns("done"))
            _run([MAKE_MIRROR, day, folder], "make-cran-mirror")
            (folder / "done").touch()
        return folder

    def publish(self, which: int) -> None:
        """Put a day's files where the upstream serves them, each at once; what is the same keeps its time."""
        source, goal = self.mirror(which) / "src", self.upstream / "cran" / "src"
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            place = goal / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists() and place.read_bytes() == file.read_bytes():
                continue
            fresh = place.with_name(place.name + ".new")
            shutil.copy2(file, fresh)
            fresh.replace(place)

    def changes(self) -> dict[str, int]:
        """How many packages were added, updated and archived between the two days, by CRAN's own log."""
        command = [CRAN_CHANGES, self.days[1], "--since", self.days[0]]
        lines = _run(command, "cran-packages-at").splitlines()
        return dict(Counter(line.partition("\t")[0] for line in lines))

    def fresh_dates(self, count: int, first: date = FIRST_DAY, last: date = LAST_DAY) -> list[date]:
        """Dates that were never asked, spread evenly, in no order; each is given out once."""
        span = (last - first).days + 1
        found = []
        for part in range(count):
            low, high = part * span // count, max(part * span // count + 1, (part + 1) * span // count)
            free = [day for at in range(low, high) if (day := first + timedelta(at)) not in self._asked]
            if free:
                found.append(self._random.choice(free))
                self._asked.add(found[-1])
        self._random.shuffle(found)
        return found

    # Processes

    def start_nginx(self) -> Site:
        """nginx on two ports: the static tree, tuned as the limit, and the upstream with its log of requests."""
        static, upstream = free_port(), free_port()
        folder = self.work / "nginx"
        folder.mkdir(exist_ok=True)
        user = "user root;" if os.geteuid() == 0 else ""
        conf = NGINX.format(
            user=user, folder=folder, static=static, upstream=upstream, tree=self.static, files=self.upstream,
            log=self.logs / "upstream.log",
        )  # fmt: skip
        (folder / "nginx.conf").write_text(conf)
        command = [program("nginx"), "-p", folder, "-e", self.logs / "nginx.err", "-c", folder / "nginx.conf"]
        process = self._start(command, "nginx")
        self.nginx, self.upstream_site = Site("nginx", static, process), Site("upstream", upstream, process)
        _wait(self.upstream_site, "/", 15)
        return self.nginx

    def upstream_log(self) -> list[str]:
        """One line "STATUS METHOD PATH" a request that the upstream answered so far."""
        log = self.logs / "upstream.log"
        return log.read_text().splitlines() if log.exists() else []

    def installation(self, name: str, ready: str = INDEX) -> Installation:
        """An Entrepot with its configuration and its own data folder, following the upstream's tree of that name."""
        return Installation(self, self.work / name, f"{self.upstream_site.url}/{name}", ready)

    def _start(self, command: Sequence[str | Path], name: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd or self.work, env=_environment(),
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def run_measured(self, command: Sequence[str | Path], name: str, cwd: Path) -> Ended:
        """Run a command to its end; raises Fault if it fails."""
        log = self.logs / f"{name}.log"
        began = time.perf_counter()
        process = self._start(command, name, cwd)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output = log.read_text(errors="replace")
        if process.returncode:
            raise Fault(f"'{name}' ended with {process.returncode}: {output.strip()[-500:]}")
        return Ended(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)

    def start_server(self, at: Installation, path: str) -> tuple[Site, float]:
        """`entrepot serve`, and the seconds from its start to its first whole answer to `path`."""
        began = time.perf_counter()
        process = self._start(at.command("serve"), f"serve-{at.folder.name}", at.folder)
        site = Site("Entrepot", at.port, process)
        _wait(site, path, 120)
        return site, time.perf_counter() - began


@dataclass
class Installation:
    """One configuration file and what the command line does with it; a server is ready once it answers `ready`."""

    rig: Rig
    folder: Path
    upstream: str
    ready: str = INDEX
    site: Site | None = None

    def __post_init__(self) -> None:
        self.port = free_port()
        (self.folder / "entrepot.toml").write_text(
            f'[server]\ndata_dir = "data"\nlisten = "127.0.0.1:{self.port}"\n\n'
            f'[cran]\nupstream = "{self.upstream}"\nsync_schedule = ""\n\n'
            f'[pypi]\nupstream = "{self.upstream}/simple"\nsync_schedule = ""\nrefresh = 86400\n'
        )

    def command(self, *words: str | Path) -> list[str | Path]:
        return [program("entrepot"), *words]

    def run(self, *words: str | Path) -> Ended:
        """A command of the command line; it works without a server if none runs."""
        return self.rig.run_measured(self.command(*words), f"{self.folder.name}-{words[0]}", self.folder)

    def serve(self, path: str = "") -> float:
        """Start the server, again if it runs, and tell the seconds to its first answer to `path`, else to `ready`."""
        self.stop()
        self.site, took = self.rig.start_server(self, path or self.ready)
        return took

    def stop(self) -> None:
        if self.site is not None:
            assert self.site.process is not None
            end(self.site.process)
            self.site = None

    @property
    def server(self) -> Site:
        if self.site is None:
            self.serve()
        assert self.site is not None
        return self.site

    def forget_rendered(self) -> None:
        """Delete the rendered indexes of a server that doesn't run, and nothing else of its cache."""
        shutil.rmtree(self.folder / "data" / "cache" / "indexes", ignore_errors=True)

    def token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.folder / 'data' / 'admin.token').read_text().strip()}"}

    def database_size(self) -> float:
        """Size of the SQLite database with its log, in MB."""
        return sum(path.stat().st_size for path in (self.folder / "data").glob("entrepot.db*")) / 1e6

    def rows(self) -> dict[str, int]:
        """The number of rows of each table."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.folder / 'data' / 'entrepot.db'}?mode=ro", uri=True)
        ) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def source_package(name: str, size: int) -> bytes:
    """A source package of about `size` bytes, as R CMD build packs it."""
    return package(name, size, "Packaged: 2024-01-31 12:00:00 UTC; a", {"NAMESPACE": b""}, "inst/extdata/noise.bin")


def package(name: str, size: int, field: str, members: Mapping[str, bytes], noise: str) -> bytes:
    """A package of R of about `size` bytes that can't be compressed further.

    Args:
        field: the line of DESCRIPTION that says how it was made.
        members: path in the package -> content, besides DESCRIPTION.
        noise: the path of what makes up the rest.
    """
    described = (
        f"Package: {name}\nVersion: 1.0\nTitle: Something to Download\nDescription: Is there to be downloaded.\n"
        f"License: MIT\nAuthor: A Person\nMaintainer: A Person <a.person@example.org>\n{field}\n"
    )
    rest = random.Random(name).randbytes(max(1, size - 700))
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for path, body in {"DESCRIPTION": described.encode(), **members, noise: rest}.items():
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mtime = len(body), 1_706_702_400
            tar.addfile(member, BytesIO(body))
    return packed.getvalue()


def few_packages() -> str:
    """A PACKAGES of five packages, one from each fifth year: a mirror with a handful of transactions."""
    return "".join(
        f"Package: few{year}\nVersion: 1.0\nLicense: MIT\nMD5sum: {year:032x}\nPublished: {year}-06-01\n\n"
        for year in range(1999, 2024, 5)
    )


def prepare() -> None:
    """Install what is missing where that is possible; raises Fault with what is still not there."""
    subprocess.run(["sh", ROOT / "tools" / "system-packages", "bench"], check=False, stdin=subprocess.DEVNULL)
    for name in ("nginx", "wrk"):
        program(name)
    program("entrepot")


def prepare_mirrors() -> None:
    """Raise Fault unless mirrors can be made here."""
    if not MAKE_MIRROR.exists():
        raise Fault("no ../shared/tools/make-cran-mirror, which makes the mirror of CRAN; --mirrors names ready ones")
    program("Rscript")


def program(name: str) -> str:
    """The path of a program; raises Fault where there is none."""
    own = Path(sys.executable).parent / name
    found = str(own) if own.exists() else shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Fault(f"'{name}' is not installed or not on PATH; 'make bench' brings up what it can")
    return found


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here: politely, then its whole group."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(site: Site, path: str, seconds: float) -> None:
    """Until the site answers 200, 404 or 403 to `path`; raises Fault if it ends or takes too long."""
    stop = time.perf_counter() + seconds
    last = "nothing"
    while time.perf_counter() < stop:
        assert site.process is not None
        if site.process.poll() is not None:
            raise Fault(f"{site.name} ended with {site.process.returncode} before it answered; see its log")
        try:
            reply = site.ask(path)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.01)
            continue
        if reply.status < 500:
            return
        last = f"{reply.status} {' '.join(reply.body[:200].decode(errors='replace').split())}"
        time.sleep(0.05)
    raise Fault(f"{site.name} did not answer {path} in {seconds:.0f} s; last: {last}")


def _run(command: Sequence[str | Path], name: str) -> str:
    """What a command wrote; raises Fault if it fails. With what it started it ends when the run is cut off."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, faults = process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise Fault(f"{name} ended with {process.returncode}: {faults.strip()[-300:]}")
    return output


def _environment() -> dict[str, str]:
    """Ours without what would configure Entrepot or send its requests through a proxy."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ENTREPOT_") and name.lower() not in _PROXIES
    }


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _megabytes(told: str) -> float:
    return int(told.split()[0]) / 1024


NGINX = """\
{user}
daemon off;
worker_processes auto;
pid {folder}/pid;
events {{ worker_connections 1024; multi_accept on; }}
http {{
    default_type application/octet-stream;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    sendfile on; tcp_nopush on; tcp_nodelay on; etag on;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    log_format short '$status $request_method $uri';
    map $http_accept $form {{ default html; "~json" json; }}
    map $http_accept_encoding $packed {{ default ""; "~zstd" .zst; "~gzip" .gz; }}
    map $http_accept_encoding $coding {{ default ""; "~zstd" zstd; "~gzip" gzip; }}
    server {{
        listen 127.0.0.1:{static};
        access_log off; log_not_found off;
        open_file_cache max=1000 inactive=300s; open_file_cache_valid 300s; open_file_cache_errors on;
        root {tree};
        error_page 404 /404.txt;
        location = /404.txt {{ internal; }}
        location ~ /simple/ {{
            types {{ text/html html; }}
            default_type application/vnd.pypi.simple.v1+json;
            add_header Vary "Accept, Accept-Encoding"; add_header Content-Encoding $coding;
            rewrite ^(?<page>.*/)$ ${{page}}index.$form$packed break;
        }}
    }}
    server {{
        listen 127.0.0.1:{upstream};
        access_log {log} short;
        root {files};
        location ~ /simple/ {{ default_type application/vnd.pypi.simple.v1+json; index index.json; }}
    }}
}}
"""
