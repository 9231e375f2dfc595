"""Push stamped, flattened copies of the notebooks to a branch: `python -m tools.publish`.

A committed notebook cannot know its own commit. The copies do: their setup cell installs
`course_lib` at the commit that GITHUB_SHA names, from the repository GITHUB_REPOSITORY, so the
badges of a fork open the fork. One commit on the branch per publication; none if nothing changed.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from tqdm import tqdm

from tools.flatten import Flattener, leftovers
from tools.pages import BRANCH, STAMPED_FOLDERS, Pages, PublishError, index, server_of

ROOT = Path(__file__).resolve().parent.parent
STAMP_LINE = "COURSE = None"
NAME, EMAIL = "publish", "publish@users.noreply.github.com"
AUTHOR = {"GIT_AUTHOR_NAME": NAME, "GIT_AUTHOR_EMAIL": EMAIL}
AUTHOR |= {"GIT_COMMITTER_NAME": NAME, "GIT_COMMITTER_EMAIL": EMAIL}


@dataclass(frozen=True)
class Origin:
    """Which commit of which repository is published, as the environment says."""

    repository: str
    sha: str
    server: str

    @property
    def source(self) -> str:
        """What pip installs."""
        return f"course_lib @ git+{self.server}/{self.repository}@{self.sha}"

    @property
    def page_url(self) -> str:
        """Where GitHub Pages serves the repository."""
        owner, _, name = self.repository.partition("/")
        return f"https://{owner.lower()}.github.io/{name}/"


def origin(env: dict[str, str]) -> Origin:
    """Read GITHUB_REPOSITORY, GITHUB_SHA and GITHUB_SERVER_URL."""
    shapes = {"GITHUB_REPOSITORY": r"[\w.-]+/[\w.-]+", "GITHUB_SHA": r"[0-9a-f]{40}"}
    for name, shape in shapes.items():
        if not re.fullmatch(shape, env.get(name, "")):
            raise PublishError(
                f"{name} is {env.get(name)!r}, expected {shape}; a GitHub workflow sets it, "
                f"elsewhere run `{name}=... python -m tools.publish ...`"
            )
    return Origin(env["GITHUB_REPOSITORY"], env["GITHUB_SHA"], server_of(env))


def check_commit(root: Path, sha: str) -> None:
    """Refuse files that are not those of the commit that their setup cells would install."""
    head = git("rev-parse", "HEAD", cwd=root)
    if head != sha:
        raise PublishError(
            f"GITHUB_SHA is {sha[:12]}, but HEAD is {head[:12]}: check that commit out, "
            "or say with --source what the notebooks shall install"
        )
    if changed := git("status", "--porcelain", "--untracked-files=no", cwd=root):
        raise PublishError(
            f"these files differ from the commit {sha[:12]}:\n{changed}\n"
            "commit them, or say with --source what the notebooks shall install"
        )


def stamp(nb: NotebookNode, source: str, name: str) -> None:
    """Write into the setup cell what it shall install."""
    cell = next((c for c in nb.cells if "setup" in c.metadata.get("tags", [])), None)
    if cell is None or cell.source.split("\n").count(STAMP_LINE) != 1:
        raise PublishError(
            f"{name}: expected a cell tagged `setup` with one line `{STAMP_LINE}`; "
            "run `python -m tools.notebooks`"
        )
    cell.source = cell.source.replace(STAMP_LINE, f"COURSE = {json.dumps(source)}", 1)


def published(path: Path, root: Path, pages: Pages, source: str) -> NotebookNode:
    """The copy of a notebook that is published; its outputs stay."""
    name = path.relative_to(root).as_posix()
    nb = nbformat.read(path, 4)
    stamp(nb, source, name)
    flattener = Flattener(pages, name.removesuffix(".ipynb"))
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = flattener.flatten(cell.source)
    nb.cells = [c for c in nb.cells if c.cell_type == "code" or c.source.strip()]
    nb.metadata["generated"] = {"by": "python -m tools.publish", "from": name}
    if left := leftovers(nb):
        cell, what = left[0]
        raise PublishError(
            f"{name}, cell {cell}: MyST is left ({len(left)} in all): {what}; "
            "teach tools/flatten.py to rewrite it, or write it in plain Markdown"
        )
    return nb


def build(root: Path, folder: Path, pages: Pages, source: str) -> list[str]:
    """Write every published notebook into a folder; return their names."""
    index(root, pages)
    names = []
    paths = [p for d in STAMPED_FOLDERS for p in sorted((root / d).glob("[0-9][0-9]_*.ipynb"))]
    for path in tqdm(paths, desc="publish", unit="nb"):
        name = path.relative_to(root).as_posix()
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = nbformat.writes(published(path, root, pages, source)).rstrip("\n") + "\n"
        target.write_bytes(text.encode())
        names.append(name)
    if not names:
        raise PublishError(f"{root.name} has no notebooks; run `python -m tools.notebooks` first")
    (folder / "README.md").write_text(readme(names, pages, source), encoding="utf-8")
    return names


def readme(names: list[str], pages: Pages, source: str) -> str:
    """What a visitor of the branch reads."""
    rows = [f"- [{name}]({pages.colab(name)})" for name in names]
    return "\n".join([
        "<!-- generated by python -m tools.publish -->",
        f"Notebooks of [the book]({pages.page_url}), to open in Colab. Do not edit this branch.",
        f"They install `{source}`.",
        "",
        *rows,
        "",
    ])  # fmt: skip


# ---- git


def git(*command: str, cwd: Path, env: dict | None = None, fine: tuple = (0,)) -> str:
    """Run git; an error shows what git said, without any password in an address."""
    run = subprocess.run(
        ["git", *command],
        cwd=cwd,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode not in fine:
        said = f"git {' '.join(command)}: {run.stderr.strip()}"
        raise PublishError(re.sub(r"//[^/@\s]+@", "//***@", said))
    return run.stdout.strip()


def push(folder: Path, root: Path, remote: str, branch: str, message: str) -> str | None:
    """Push a folder as the content of a branch, one commit on top; None if it is there.

    The commit is made with plumbing commands, so neither the working tree nor the index is touched.
    """
    tip = git("ls-remote", remote, f"refs/heads/{branch}", cwd=root).split("\t")[0]
    if tip:
        git("fetch", "--quiet", "--no-tags", remote, f"refs/heads/{branch}", cwd=root)
    with tempfile.TemporaryDirectory() as scratch:
        env = AUTHOR | {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git("--work-tree", str(folder), "add", "--all", "--force", ".", cwd=root, env=env)
        tree = git("write-tree", cwd=root, env=env)
    if tip and git("rev-parse", f"{tip}^{{tree}}", cwd=root) == tree:
        return None
    parents = ["-p", tip] if tip else []
    commit = git("commit-tree", tree, *parents, "-m", message, cwd=root, env=AUTHOR)
    git("push", "--quiet", remote, f"{commit}:refs/heads/{branch}", cwd=root)
    return commit


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__)
    parser.add_argument("--remote", required=True, help="a git remote or its address")
    parser.add_argument("--branch", default=BRANCH)
    parser.add_argument("--page-url", help="where the book stands; default: its GitHub Pages")
    parser.add_argument("--source", help="what the setup cell installs; default: this commit")
    parser.add_argument("--dry-run", type=Path, metavar="DIR", help="write into DIR, push nothing")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    return parser.parse_args(argv)


def publish(args: argparse.Namespace, env: dict[str, str]) -> str:
    """Build, check and push; say what was done."""
    root, where = args.root.resolve(), origin(env)
    pages = Pages((args.page_url or where.page_url).rstrip("/") + "/", where.repository,
                  args.branch, where.server)  # fmt: skip
    if not args.source:
        check_commit(root, where.sha)
    source = args.source or where.source
    if args.dry_run:
        names = build(root, args.dry_run, pages, source)
        return f"{len(names)} notebooks in {args.dry_run}; nothing was pushed"
    with tempfile.TemporaryDirectory() as folder:
        names = build(root, Path(folder), pages, source)
        message = f"Publish {len(names)} notebooks of {where.sha[:12]}"
        commit = push(Path(folder), root, args.remote, args.branch, message)
    return f"pushed {len(names)} notebooks as {commit[:12]}" if commit else "nothing has changed"


def main(argv: list[str] | None = None) -> int:
    try:
        print(publish(arguments(argv), dict(os.environ)))
    except PublishError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
