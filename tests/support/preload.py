"""A library that a program loads before its own. The loader ends a name in LD_PRELOAD at a space, and the source may lie in a folder that has one; so
LD_PRELOAD has the library's name alone, and its folder is told as one to search.

    subprocess.run(command, env={**os.environ, **preloaded(library)})
"""

import os


def preloaded(library):
    folder, name = os.path.split(os.path.abspath(library))
    searched = [folder, os.environ.get("LD_LIBRARY_PATH")]
    return {"LD_PRELOAD": name, "LD_LIBRARY_PATH": ":".join(filter(None, searched))}
