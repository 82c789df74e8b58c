"""Writes a C file that holds the bytes of another file.

    embed.py INPUT OUTPUT.c
"""

import sys

data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "w") as out:
    out.write('#include "http/page.h"\n\nconst char http_page[] = {\n')
    for at in range(0, len(data), 24):
        out.write("".join(f"{byte if byte < 128 else byte - 256}," for byte in data[at : at + 24]) + "\n")
    out.write(f"0}};\nconst size_t http_page_length = {len(data)};\n")
