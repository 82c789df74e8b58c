"""What a server is expected to answer: bytes with holes.

    <n>        a decimal number                    <eof>      the server has closed the connection; at the end only
    <cas=a>    a decimal number; the same in every <cas=a> of a case, in what is sent as well
    <t:50>     a number that may be one less or one more: remaining times, ages
    <any>      the rest of the line

An answer is compared while it arrives: it is right so far, complete, or wrong. So a wrong answer is seen at once, and a right one
needs no time-out.
"""

import re

HOLE = re.compile(rb"<(n|any|eof|cas=\w+|t:-?\d+)>")

NUMBER = re.compile(rb"-?\d*")

INCOMPLETE, COMPLETE, WRONG = "incomplete", "complete", "wrong"


def pieces(template):
    """Splits into (kind, value)."""
    result = []
    at = 0
    for hole in HOLE.finditer(template):
        if hole.start() > at:
            result.append(("literal", template[at : hole.start()]))
        name, _, argument = hole.group(1).replace(b":", b"=").partition(b"=")
        result.append((name.decode(), argument))
        at = hole.end()
    if at < len(template):
        result.append(("literal", template[at:]))
    return result


def fill(template, names):
    """Puts what was captured into what is sent."""
    return re.sub(rb"<cas=(\w+)>", lambda hole: names[hole.group(1)], template)


def number_fits(kind, argument, number, names):
    if kind == "cas":
        return names.setdefault(argument, number) == number
    if kind == "t":
        return abs(int(number) - int(argument)) <= 1
    return True


def compare(template, got, at_end, names):
    """(state, bytes used). `names` takes what was captured; a number counts when something follows it."""
    at = 0
    for kind, value in pieces(template):
        if kind == "literal":
            have = got[at : at + len(value)]
            if not value.startswith(have):
                return WRONG, at
            if len(have) < len(value):
                return (WRONG if at_end else INCOMPLETE), at
            at += len(value)
        elif kind == "any":
            end = got.find(b"\r\n", at)
            if end < 0:
                return (WRONG if at_end else INCOMPLETE), at
            at = end
        elif kind == "eof":
            if at < len(got):
                return WRONG, at
            return (COMPLETE if at_end else INCOMPLETE), at
        else:
            number = bytes(NUMBER.match(got, at).group())
            end = at + len(number)
            if end == len(got):
                return (WRONG if at_end else INCOMPLETE), at
            if not number or not number_fits(kind, value, number, names):
                return WRONG, at
            at = end
    return COMPLETE, at


def compare_any(alternatives, got, at_end, names):
    """The best of several permitted answers: the complete one, or else one that may still become right."""
    states = []
    for template in alternatives:
        captured = dict(names)
        state, used = compare(template, got, at_end, captured)
        if state == COMPLETE:
            names.update(captured)
            return state, used
        states.append((state, used))
    for state, used in states:
        if state == INCOMPLETE:
            return state, used
    return states[0]
