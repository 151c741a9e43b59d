"""A build backend (PEP 517) of the tests: it packs what is in its folder, and does what the files there tell it.

NAME, VERSION: what pyproject.toml doesn't say; WHEEL_VERSION: another one for wheels. NEEDS: what it needs besides, or
"each time", something else whenever it is asked. hook.py is run before the sdist is packed; there, GIVES, MADE, NAME
and VERSION are what it will give, where, and of which package.
"""

import base64
import hashlib
import importlib.metadata
import io
import pathlib
import re
import tarfile
import zipfile

NAME, VERSION, GIVES, MADE = [""], [""], {}, None


def get_requires_for_build_sdist(config_settings=None):
    told = _read("NEEDS")
    if told != "each time":
        return told.split("\n") if told else []
    return [f"more-{len(list(importlib.metadata.distributions()))}"]


def build_sdist(sdist_directory, config_settings=None):
    global MADE
    MADE = pathlib.Path(sdist_directory)
    _look()
    exec(compile(_read("hook.py", strip=False), "hook.py", "exec"), globals())
    if not VERSION[0]:
        _look()
    stem = f"{NAME[0]}-{VERSION[0]}"
    files = {"PKG-INFO": _metadata().encode()}
    for path in sorted(pathlib.Path().rglob("*")):
        if path.is_file() and ".git" not in path.parts and "__pycache__" not in path.parts:
            files.setdefault(path.as_posix(), path.read_bytes())
    with tarfile.open(MADE / f"{stem}.tar.gz", "w:gz") as tar:
        for path, data in files.items():
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return GIVES.get("sdist", f"{stem}.tar.gz")


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _look()
    told = re.search("(?m)^Version: (.*)$", _read("PKG-INFO"))
    VERSION[0] = _read("WHEEL_VERSION") or told[1]
    NAME[0] = re.search("(?m)^Name: (.*)$", _read("PKG-INFO"))[1]
    info = f"{NAME[0]}-{VERSION[0]}.dist-info"
    files = {path.as_posix(): path.read_bytes() for path in sorted(pathlib.Path().glob("demo/*.py"))}
    files[f"{info}/METADATA"] = _metadata().encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    lines = [f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items()]
    files[f"{info}/RECORD"] = ("".join(lines) + f"{info}/RECORD,,\n").encode()
    name = f"{NAME[0]}-{VERSION[0]}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return name


def _look():
    text = _read("pyproject.toml")
    for what, key in ((NAME, "name"), (VERSION, "version")):
        found = re.search(f'(?m)^{key} = "(.*)"', text)
        what[0] = found[1] if found else _read(key.upper())


def _read(name, strip=True):
    path = pathlib.Path(name)
    text = path.read_text() if path.exists() else ""
    return text.strip() if strip else text


def _metadata():
    return f"Metadata-Version: 2.3\nName: {NAME[0]}\nVersion: {VERSION[0]}\n"


def _digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
