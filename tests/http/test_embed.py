"""Tests of src/http/embed.py: one page comes out, whole and without anything that asks for more.

    test_embed.py EMBED.PY
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from waits import HANG_S

PROGRAM = sys.argv[1]
PAGE = '<html><link rel="stylesheet" href="page.css"><p>gr\u00fc\u00df</p><script src="page.js"></script></html>\n'


def embed(page, style="p { color: red }\n", script="let a = 1;\n"):
    """The bytes in the C file, or the sentence of the refusal."""
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        for name, text in (("page.html", page), ("page.css", style), ("page.js", script)):
            (folder / name).write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, PROGRAM, folder / "page.html", folder / "page.c"], capture_output=True, text=True, timeout=HANG_S)
        if done.returncode != 0:
            assert not (folder / "page.c").exists(), "a refused page leaves no file"
            return done.stderr
        written = (folder / "page.c").read_text(encoding="ascii")
    numbers = [int(number) for number in re.findall(r"-?\d+(?=,)", written)]
    assert f"http_page_length = {len(numbers)};" in written and written.count("0};") == 1, written
    return bytes(number & 255 for number in numbers)


def test_files_are_put_into_the_page():
    expected = "<html><style>\np { color: red }\n</style><p>gr\u00fc\u00df</p><script>\nlet a = 1;\n</script></html>\n"
    assert embed(PAGE) == expected.encode(), embed(PAGE)


def test_what_asks_for_more_is_refused_with_its_line():
    for page in ('<img src="a.png">', '<a href="/x">', '<link rel="icon" href="a.ico">', '<script src="https://example.org/a.js"></script>'):
        assert "line 2 of the whole page" in embed(f"<p>\n{page}</p>"), page
    for style in ('@import "a.css";', "p { background: url(a.png) }"):
        assert "asks for something outside" in embed(PAGE, style=style), style
    for script in ('fetch("https://example.org")', 'import("a.js")'):
        assert "asks for something outside" in embed(PAGE, script=script), script


def test_what_would_end_its_element_is_refused():
    assert "page.js ends the element" in embed(PAGE, script='let a = "</script>";')
    assert "page.css ends the element" in embed(PAGE, style="/* </style> */")


def test_a_missing_file_is_refused():
    assert "No such file" in embed('<link rel="stylesheet" href="other.css">')


sys.exit(run_tests(globals()))
