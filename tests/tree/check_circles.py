#!/usr/bin/env python3
"""Files that call each other in circles.

    check_circles.py SOURCE_ROOT [--list]

A file points at another when a function of it calls, by name, a function that is defined there.
Definitions and calls are read as text: a definition starts at the left edge, and a name before a
bracket is a call. What a file hands over as a pointer is no call; that is how a lower file
reaches what lies above it. A name is its file's own where it is static.
"""

import collections
import pathlib
import re
import sys

COMMENTS_AND_STRINGS = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DEFINITION = re.compile(r'^(?![#\s}/])([^;={}()]*?)\b(\w+)\s*\(([^;{}]*)\)[^;{}()=]*\{', re.M)
CALL = re.compile(r'\b([A-Za-z_]\w*)\s*\(')
NO_FUNCTIONS = {'if', 'for', 'while', 'switch', 'return', 'sizeof', 'defined', 'alignof'}


def functions_of(text):
    """Yields (name, is_static, body) for each function that the text of a file defines."""
    text = COMMENTS_AND_STRINGS.sub(' ', text)
    text = re.sub(r'^[ \t]*#(?:[^\n\\]|\\.|\\\n)*', '', text, flags=re.M)
    for found in DEFINITION.finditer(text):
        depth, at = 1, found.end()
        while depth and at < len(text):
            depth += {'{': 1, '}': -1}.get(text[at], 0)
            at += 1
        yield found[2], 'static' in found[1].split(), text[found.end():at]


def calls_between(files):
    """Returns {file: {other file: {names called}}}; files is {name: text}."""
    parsed = {name: list(functions_of(text)) for name, text in files.items()}
    home = {}
    for file, functions in parsed.items():
        for name, is_static, _ in functions:
            if not is_static or file.endswith('.h'):
                home.setdefault(name, file)
    arrows = {file: collections.defaultdict(set) for file in files}
    for file, functions in parsed.items():
        own = {name for name, _, _ in functions}
        for _, _, body in functions:
            for name in set(CALL.findall(body)) - own - NO_FUNCTIONS:
                if name in home and home[name] != file:
                    arrows[file][home[name]].add(name)
    return arrows


def circles_of(arrows):
    """Tarjan's strongly connected components (Depth-first search and linear graph algorithms,
    1972) of more than one file, the largest first."""
    order, low, stack, circles = {}, {}, [], []

    def visit(file):
        order[file] = low[file] = len(order)
        stack.append(file)
        for other in arrows[file]:
            if other not in order:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], order[other])
        if low[file] == order[file]:
            at = stack.index(file)
            if len(stack) - at > 1:
                circles.append(sorted(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10000)
    for file in sorted(arrows):
        if file not in order:
            visit(file)
    return sorted(circles, key=lambda circle: (-len(circle), circle))


def read_tree(root, *folders):
    return {str(path.relative_to(root)): path.read_text(encoding='utf-8')
            for folder in folders for path in sorted((root / folder).rglob('*.[ch]'))}


def main():
    root = pathlib.Path(sys.argv[1])
    for folder in ('src', 'tools', 'tests', 'bench', 'examples'):
        files = read_tree(root, folder)
        arrows = calls_between(files)
        circles = circles_of(arrows)
        print(f'{folder}: {sum(map(len, circles))} of {len(files)} files in {len(circles)} circles')
        for circle in circles:
            print(f'  {len(circle)}: {" ".join(circle)}')
            for file in circle:
                for other in circle:
                    if arrows[file].get(other):
                        print(f'      {file} -> {other}: {" ".join(sorted(arrows[file][other]))}')


if __name__ == '__main__':
    main()
