#!/usr/bin/env python3
"""Packs what is released for one target: pack.py TARGET FOLDER

FOLDER has the program, `xdeploy-TARGET`, and gets `xdeploy-TARGET.tar.gz` with the program, its manual pages and completions, the licence, and
those of what it is made of. The same input gives the same archive. Needs cargo, and a machine on which the program runs.
"""

import gzip
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("license", "licence", "copying", "notice", "copyright")


def third_party(target: str) -> str:
    """The licences of all crates that the program for a target is made of."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        here = waiting.pop()
        if here in found:
            continue
        found.add(here)
        # Neither what tests use nor what only builds is in the program.
        waiting += [dep["pkg"] for dep in nodes[here]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    found.discard(metadata["resolve"]["root"])
    text = ["xdeploy contains the following crates, under these licences; each text follows once, with those that have it.\n\n"]
    texts: dict[str, list[str]] = {}
    for package in sorted((packages[one] for one in found), key=lambda one: (one["name"], one["version"])):
        name = f"{package['name']} {package['version']}"
        text.append(f"{name}: {package['license'] or 'see below'} {package['repository'] or ''}".rstrip() + "\n")
        folder = pathlib.Path(package["manifest_path"]).parent
        files = sorted(one for one in folder.iterdir() if one.is_file() and one.name.lower().startswith(NAMES))
        for file in files:
            texts.setdefault(file.read_text(errors="replace").strip(), []).append(name)
    for licence, names in texts.items():
        text.append(f"\n{'=' * 100}\n{', '.join(names)}\n\n{licence}\n")
    return "".join(text)


def contents(target: str, program: pathlib.Path):
    """The archive's files: name, bytes, mode."""
    yield "xdeploy", program.read_bytes(), 0o755
    for name in ("LICENSE", "README.md", "CHANGELOG.md"):
        yield name, (ROOT / name).read_bytes(), 0o644
    yield "THIRD-PARTY-LICENSES.txt", third_party(target).encode(), 0o644
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "man", folder], check=True, stdout=subprocess.DEVNULL)
        for page in sorted(pathlib.Path(folder).iterdir()):
            yield f"man/man1/{page.name}", page.read_bytes(), 0o644
    for shell, name in (("bash", "xdeploy.bash"), ("zsh", "_xdeploy"), ("fish", "xdeploy.fish"), ("powershell", "_xdeploy.ps1")):
        text = subprocess.run([program, "completions", shell], check=True, capture_output=True).stdout
        yield f"completions/{name}", text, 0o644


def main() -> None:
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    program = (folder / f"xdeploy-{target}").resolve()
    epoch = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True).stdout
    time = int(os.environ.get("SOURCE_DATE_EPOCH", epoch))
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data, mode in contents(target, program):
            entry = tarfile.TarInfo(f"xdeploy-{target}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), mode, time
            archive.addfile(entry, io.BytesIO(data))
    path = folder / f"xdeploy-{target}.tar.gz"
    with open(path, "wb") as file, gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(raw.getvalue())
    print(path)


main()
