"""Hashes of torch's wheels, of which every build (CPU, CUDA, platform) has its own.

    python envs/torch_hashes.py list INDEX_PAGE_OR_FOLDER ... > envs/torch.sha256
    python envs/torch_hashes.py check PIP_REPORT

`list` takes pages of package indices, which give a SHA-256 with every file, and folders of wheels.
`check` takes the report of `pip install --report` and ends with 1 if torch's wheel is listed with
another hash; a wheel that is not listed is reported, not refused.
"""

import hashlib
import json
import re
import sys
import urllib.parse
import urllib.request
from pathlib import Path

LIST = Path(__file__).with_name("torch.sha256")
LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def locked() -> str:
    """The version of torch in the lock."""
    return re.search(r"^torch==(\S+)", LOCK.read_text(), re.MULTILINE)[1]


def wheels(source: str, version: str) -> dict[str, str]:
    """SHA-256 of every wheel of a version by name, from an index's page or a folder."""
    start = f"torch-{version}"
    if Path(source).is_dir():
        paths = [p for p in Path(source).glob("torch-*.whl") if belongs(p.name, start)]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    with urllib.request.urlopen(source) as page:
        text = page.read().decode()
    links = re.findall(r'href="([^"#]+\.whl)#sha256=([0-9a-f]{64})', text)
    named = {urllib.parse.unquote(link.rsplit("/", 1)[-1]): value for link, value in links}
    return {name: value for name, value in named.items() if belongs(name, start)}


def belongs(name: str, start: str) -> bool:
    """Whether a wheel is of that version, whatever its build."""
    return name.startswith((f"{start}-", f"{start}+"))


def check(report: str) -> str:
    """Message if the wheel in pip's report has another hash than the listed one; '' if not."""
    entries = json.loads(Path(report).read_text())["install"]
    (entry,) = [entry for entry in entries if entry["metadata"]["name"] == "torch"]
    download = entry["download_info"]
    name = urllib.parse.unquote(download["url"].rsplit("/", 1)[-1])
    # pip before 23.1, Debian 12's among them, writes "hash": "sha256=..." alone.
    archive = download["archive_info"]
    hashes = archive.get("hashes") or dict([archive["hash"].split("=", 1)])
    value = hashes["sha256"]
    listed = dict(reversed(line.split()) for line in LIST.read_text().splitlines())
    if name not in listed:
        print(f"install: {name} is not listed in {LIST.name}; its SHA-256 is {value}.")
        return ""
    if listed[name] != value:
        return f"{name}: its SHA-256 is {value}, and {LIST.name} says {listed[name]}."
    return ""


def main(command: str, *arguments: str) -> int:
    """Run a command; its exit status."""
    if command == "check":
        wrong = check(*arguments)
        if wrong:
            print(f"install: {wrong} It is not the locked file.", file=sys.stderr)
        return int(bool(wrong))
    version, hashes = locked(), {}
    for source in arguments:
        try:
            hashes |= wheels(source, version)
        except OSError as error:
            print(f"lock: {source}: {error}; its wheels are not listed.", file=sys.stderr)
    if not hashes:
        print(f"lock: no wheel of torch {version} was found.", file=sys.stderr)
        return 1
    print(*(f"{hashes[name]}  {name}" for name in sorted(hashes)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
