"""A copy of the source tree that is broken on purpose, one fault at a time: what `make mutate` and `make simulate-faults` share.

An edit is a file, the text that is there, and the text with the fault. The old text occurs once in its file, wherever that is: other lines may
come and go. Where it does not occur once, the edit does not fit any more, and says so: whoever changes those lines says what the fault looks like
now."""

import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ("src", "include", "tests", "tools", "examples", "bench", "docs", "packaging", "data", "models")
FILES = ("meson.build", "meson_options.txt", "README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "CONTRIBUTING.md", "Makefile")


def misfits(faults):
    """`faults`: names and their edits. A line for each edit that does not fit the source."""
    texts = {}
    lines = []
    for name, edits in faults:
        for file, old, _ in edits:
            path = ROOT / file
            if file not in texts:
                texts[file] = path.read_text() if path.exists() else ""
            if texts[file].count(old) != 1:
                lines.append(f"{name}: {file} has {texts[file].count(old)} times, not once: {old!r}")
    return lines


def copy_changed(source, to):
    """With the time of now, so that what was built of another content is built anew."""
    if not to.exists() or source.read_bytes() != to.read_bytes():
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, to)


def copy_tree(to):
    """What was there and is gone from the source goes here too."""
    for part in PARTS:
        wanted = {source.relative_to(ROOT) for source in (ROOT / part).rglob("*") if source.is_file() and source.suffix != ".pyc"}
        for there in list((to / part).rglob("*")):
            if there.is_file() and there.relative_to(to) not in wanted:
                there.unlink()
        for file in wanted:
            copy_changed(ROOT / file, to / file)
    for file in FILES:
        copy_changed(ROOT / file, to / file)


def build(tree, *targets):
    """Whether it can be built; says nothing more, but where it can't."""
    if not (tree / "build/build.ninja").exists():
        subprocess.run(
            ["meson", "setup", "--buildtype=debugoptimized", "-Dassertions=debug", "-Dwerror=false", "-Dtests=enabled", "build"],
            cwd=tree, check=True, stdout=subprocess.DEVNULL,
        )
    made = subprocess.run(["ninja", "-C", "build", *targets], cwd=tree, capture_output=True, text=True)
    if made.returncode != 0:
        print(made.stdout[-3000:])
    return made.returncode == 0


class Broken:
    """A tree with the edits in it, for as long as the block lasts. `fits` is false where one of them could not be made."""

    def __init__(self, tree, edits):
        self.tree = tree
        self.edits = edits
        self.before = {}
        self.fits = True

    def __enter__(self):
        for file, old, new in self.edits:
            path = self.tree / file
            text = path.read_text()
            self.before.setdefault(path, text)
            if text.count(old) != 1:
                print(f"{file} has {text.count(old)} times, not once: {old!r}")
                self.fits = False
                break
            path.write_text(text.replace(old, new))
        return self

    def __exit__(self, *_):
        for path, text in self.before.items():
            path.write_text(text)
