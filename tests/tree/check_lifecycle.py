#!/usr/bin/env python3
"""Whatever the public headers create, stop, destroy or initialise, they do alike.

    check_lifecycle.py INCLUDE_DIRECTORY

    SNUG_NODISCARD snug_error snug_X_create([snug_PARENT *parent,] const snug_X_options *options, snug_X **out);
    SNUG_NODISCARD snug_error snug_X_stop(snug_X *x, uint64_t timeout_ns);
    SNUG_NODISCARD snug_error snug_X_destroy(snug_X *x);
    void snug_Y_init(snug_Y *y, size_t struct_bytes[, ...]); static inline snug_Y snug_Y_default(...)     a struct that begins with struct_bytes

What the calls answer is tested in tests/unit/library/test_lifecycle.c and test_struct_bytes.c.
"""

import pathlib
import re
import sys

OTHER_WORDS = "open close start new make shutdown terminate".split()
KINDS_MIN = 7  # heap, shard, workers, client, coordinator, cache, cache_client


def code_of(directory):
    """All headers without comments and macros, a declaration a line."""
    text = "\n".join(path.read_text() for path in sorted(pathlib.Path(directory, "snug").glob("*.h")))
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^#.*(?:\\\n.*)*$", "", text, flags=re.M)
    return re.sub(r"\s+", " ", text)


def parameters_of(code, name):
    """The text before the name in its declaration, and the parameters; nothing if there is none."""
    found = re.search(r"(?:^|[;{}] )([^;{}]*?)\b" + name + r"\(([^()]*)\)(?: ;|;| \{)", code)
    return (found.group(1).strip(), [p.strip() for p in found.group(2).split(",")]) if found else None


def wrong_lifecycle(code, kind):
    optional_parent = parameters_of(code, f"{kind}_create")
    if optional_parent is None:
        return [f"{kind}_create: not found"]
    returns, parameters = optional_parent
    wrong = []
    last = [f"const {kind}_options *options", f"{kind} **out"]
    is_parent = len(parameters) == 3 and re.fullmatch(r"snug_(\w+) \*\1", parameters[0])
    if returns != "SNUG_NODISCARD snug_error" or parameters[-2:] != last or not (len(parameters) == 2 or is_parent):
        wrong.append(f"{kind}_create: {returns} ({', '.join(parameters)})")
    name = kind.removeprefix("snug_")
    wanted = ("SNUG_NODISCARD snug_error", [f"{kind} *{name.removeprefix('cache_')}"])
    if parameters_of(code, f"{kind}_destroy") != wanted:
        wrong.append(f"{kind}_destroy: {parameters_of(code, kind + '_destroy')}, not {wanted}")
    stop = parameters_of(code, f"{kind}_stop")
    if stop is not None and stop != ("SNUG_NODISCARD snug_error", [f"{kind} *{name}", "uint64_t timeout_ns"]):
        wrong.append(f"{kind}_stop: {stop}")
    return wrong


def wrong_init(code, struct):
    init, default = parameters_of(code, f"{struct}_init"), parameters_of(code, f"{struct}_default")
    if init is None or init[0] != "void" or not init[1][0].startswith(f"{struct} *") or init[1][1] != "size_t struct_bytes":
        return [f"{struct}_init: {init}"]
    if default is None or default[0] != f"static inline {struct}" or default[1] != (init[1][2:] or ["void"]):
        return [f"{struct}_default: {default}"]
    return []


def check(name, wrong):
    print(f"[ RUN      ] {name}")
    for line in wrong:
        print(line)
    print(f"[{'  FAILED  ' if wrong else '       OK '}] {name}")
    return bool(wrong)


def main():
    code = code_of(sys.argv[1])
    kinds = sorted(set(re.findall(r"\b(snug_\w+)_(?:create|destroy|stop)\(", code)))
    sized = sorted(set(re.findall(r"typedef struct (snug_\w+) \{ size_t struct_bytes;", code)))
    options = sorted(set(re.findall(r"typedef struct (snug_\w*options) \{", code)) - {"snug_alloc_options"})
    print("[==========] Running 4 test(s).")
    failed = check("create_stop_destroy", [line for kind in kinds for line in wrong_lifecycle(code, kind)] or ([] if len(kinds) >= KINDS_MIN else [str(kinds)]))
    failed |= check("init_and_default", [line for struct in sized for line in wrong_init(code, struct)])
    failed |= check("options_begin_with_their_size", [struct for struct in options if struct not in sized])
    failed |= check("no_other_word_for_it", re.findall(r"\bsnug_\w+_(?:" + "|".join(OTHER_WORDS) + r")\(", code))
    return 1 if failed else 0


sys.exit(main())
