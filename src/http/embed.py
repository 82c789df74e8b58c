"""Writes a C file that holds a page. The style sheets and scripts that it names are put into it, from the files beside it: what is served is one
page that asks for nothing else. What would make it ask is refused.

    embed.py PAGE.html OUTPUT.c
"""

import os
import re
import sys

OUTSIDE = re.compile(r"""\b(?:src|href)\s*=|@import\b|\burl\(|https?://|\bimport\s*\(""")


def put_in(page, directory, form, element):
    """Each match of `form`, whose group is the name of a file, becomes that file in an element."""

    def text_of(found):
        with open(os.path.join(directory, found.group(1)), encoding="utf-8") as file:
            text = file.read()
        if f"</{element}" in text:
            sys.exit(f"embed.py: {found.group(1)} ends the element it is put into")
        return f"<{element}>\n{text}</{element}>"

    return re.sub(form, text_of, page)


def main():
    source, target = sys.argv[1:]
    directory = os.path.dirname(source)
    with open(source, encoding="utf-8") as file:
        page = file.read()
    page = put_in(page, directory, r'<link rel="stylesheet" href="([\w.]+)">', "style")
    page = put_in(page, directory, r'<script src="([\w.]+)"></script>', "script")
    if outside := OUTSIDE.search(page):
        line = page[: outside.start()].count("\n") + 1
        sys.exit(f"embed.py: line {line} of the whole page asks for something outside of it: {page.splitlines()[line - 1].strip()}")
    data = page.encode()
    with open(target, "w", encoding="ascii") as out:
        out.write('#include "http/page.h"\n\nconst char http_page[] = {\n')
        for at in range(0, len(data), 24):
            out.write("".join(f"{byte if byte < 128 else byte - 256}," for byte in data[at : at + 24]) + "\n")
        out.write(f"0}};\nconst size_t http_page_length = {len(data)};\n")


main()
