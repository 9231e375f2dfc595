"""tools.vendor: what is fetched is checked, trimmed, kept, and never fetched twice."""

import base64
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tools import vendor

CSS = """@font-face{font-family:A;src:url(fonts/A.woff2) format("woff2"),url(fonts/A.woff) \
format("woff"),url(fonts/A.ttf) format("truetype")}
@font-face{font-family:B;src:url(fonts/B.woff2) format("woff2")}
.katex{color:red}
"""
FILES = {
    "dist/toy.css": CSS,
    "dist/fonts/A.woff2": "font A",
    "dist/fonts/A.ttf": "font A, heavy",
    "dist/fonts/B.woff2": "font B",
    "LICENSE": "MIT",
}


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in FILES.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry of one package; returns the package and the list of calls to npm."""
    content, calls = archive(), []

    def npm(args, cwd, **options):
        calls.append(args)
        Path(cwd, "toy-1.0.0.tgz").write_bytes(content)
        return subprocess.CompletedProcess(args, 0, "", "")

    monkeypatch.setattr(vendor, "npm", npm)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sha = base64.b64encode(hashlib.sha512(content).digest()).decode()
    toy = vendor.Package("toy", "toy", "1.0.0", sha, "dist/", ("toy.css",), r"fonts/A\.woff2")
    return toy, calls


def test_only_the_wanted_fonts_and_their_faces_are_kept(registry):
    toy, _ = registry
    folder = vendor.static_folder(toy)
    kept = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert kept == ["toy/LICENSE.txt", "toy/fonts/A.woff2", "toy/toy.css"]
    css = (folder / toy.css).read_text(encoding="utf-8")
    assert "A.woff2" in css and ".katex{color:red}" in css
    assert "ttf" not in css and "A.woff)" not in css and "B.woff2" not in css


def test_a_second_build_asks_nobody(registry):
    toy, calls = registry
    assert vendor.static_folder(toy) == vendor.static_folder(toy)
    assert len(calls) == 1
    assert "--ignore-scripts" in calls[0]


def test_another_checksum_stops_the_build_and_keeps_nothing(registry, tmp_path):
    toy, _ = registry
    other = vendor.Package(**{**vars(toy), "sha512": "AAAA"})
    with pytest.raises(vendor.VendorError, match="has sha512 .*, expected AAAA"):
        vendor.static_folder(other)
    assert not list(tmp_path.rglob("*.css"))


def test_no_network_says_what_to_do(registry, monkeypatch):
    toy, _ = registry
    failed = subprocess.CompletedProcess([], 1, "", "npm error code ENOTFOUND")
    monkeypatch.setattr(vendor, "npm", lambda args, **options: failed)
    with pytest.raises(vendor.VendorError, match="one build needs the\\s+network(.|\n)*ENOTFOUND"):
        vendor.static_folder(toy)
