#!/usr/bin/env python3
"""Writes what a shell completes for a program, from what the program says in --help.

    completion.py bash|zsh NAME PROGRAM

The help is written from the tables by which the options are read, so this cannot drift from them. What it says under the headings that
begin with "Taken from" and "Of memcached's" is for other people's command lines, and not offered.
"""

import re
import subprocess
import sys

OPTION = re.compile(r" {2}(?:-(\w), | {4})--([a-z][a-z-]*)(?:[= ](\S.*?))?(?: {2,}(\S.*))?$")
COMMAND = re.compile(r" {2}([a-z_]+)((?: [^ ]+)*)(?: {2,}(\S.*))?$")
CHOICES = re.compile(r"[a-z]+(?:\|[a-z]+)+$")
FILES = {"FILE", "PATH"}
LEFT_OUT = ("Taken from", "Of memcached's")


class Option:
    def __init__(self, letter, name, argument, text):
        self.spellings = ([f"-{letter}"] if letter else []) + [f"--{name}"]
        self.argument = argument
        self.text = text
        self.choices = argument.split("|") if argument and CHOICES.match(argument) else []
        self.takes_file = argument in FILES


class Command:
    def __init__(self, name, grammar, text):
        self.name = name
        self.text = text
        self.words = re.findall(r"(?<![A-Z:])\b[a-z]+\b", grammar)


def read_help(text):
    """The options and commands of a help, in its order."""
    options, commands, last = [], [], None
    for line in text.splitlines():
        if line.startswith(LEFT_OUT):
            break
        option, command = OPTION.match(line), COMMAND.match(line)
        if option:
            last = Option(option[1], option[2], option[3], option[4] or "")
            options.append(last)
        elif command:
            last = Command(command[1], command[2], command[3] or "")
            commands.append(last)
        elif last and line.startswith(" " * 6):
            last.text = f"{last.text} {line.strip()}".strip()
        else:
            last = None
    return options, commands


def short(text):
    """What a shell shows beside the word: up to the first semicolon."""
    return re.split(r"; | \(", text)[0].strip()


def merged(commands):
    """A command that has two lines is one."""
    by_name = {}
    for command in commands:
        known = by_name.setdefault(command.name, command)
        if known is not command:
            known.words += [word for word in command.words if word not in known.words]
    return list(by_name.values())


def bash(name, options, commands):
    function = "_" + name.replace("-", "_")
    spellings = [spelling for option in options for spelling in option.spellings]
    lines = [
        f"# What bash completes for {name}; written from its --help.",
        f"{function}() {{",
        "\tlocal current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} command= i",
        "\t# --name=value comes as three words.",
        "\tif [[ $current == = ]]; then",
        "\t\tcurrent=",
        "\telif [[ $option == = ]]; then",
        "\t\toption=${COMP_WORDS[COMP_CWORD - 2]}",
        "\tfi",
        "\tCOMPREPLY=()",
        "\tcase $option in",
    ]
    for option in options:
        if option.argument is None:
            continue
        lines.append(f"\t{' | '.join(option.spellings)})")
        if option.choices:
            lines.append(f"\t\tmapfile -t COMPREPLY < <(compgen -W '{' '.join(option.choices)}' -- \"$current\")")
        elif option.takes_file:
            lines.append("\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")")
            lines.append("\t\tcompopt -o filenames 2>/dev/null")
        lines += ["\t\treturn", "\t\t;;"]
    lines += [
        "\tesac",
        "\tif [[ $current == -* ]]; then",
        f"\t\tmapfile -t COMPREPLY < <(compgen -W '{' '.join(spellings)}' -- \"$current\")",
        "\t\treturn",
        "\tfi",
    ]
    if commands:
        names = " ".join(command.name for command in commands)
        lines += [
            "\tfor ((i = 1; i < COMP_CWORD; i++)); do",
            "\t\tcase ${COMP_WORDS[i]} in",
            f"\t\t{' | '.join(command.name for command in commands)}) command=${{COMP_WORDS[i]}} ;;",
            "\t\tesac",
            "\tdone",
            "\tcase $command in",
            f"\t\"\") mapfile -t COMPREPLY < <(compgen -W '{names}' -- \"$current\") ;;",
        ]
        for command in commands:
            if command.words:
                lines.append(f"\t{command.name}) mapfile -t COMPREPLY < <(compgen -W '{' '.join(command.words)}' -- \"$current\") ;;")
        lines.append("\tesac")
    lines += ["}", f"complete -F {function} {name}"]
    return "\n".join(lines) + "\n"


def zsh_quoted(text):
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def zsh(name, options, commands):
    lines = [f"#compdef {name}", f"# What zsh completes for {name}; written from its --help.", "_arguments -s -S \\"]
    for option in options:
        for spelling in option.spellings:
            if option.argument is None:
                lines.append(f"\t'{spelling}[{zsh_quoted(short(option.text))}]' \\")
                continue
            action = f"({' '.join(option.choices)})" if option.choices else "_files" if option.takes_file else ""
            joint = "=" if spelling.startswith("--") else "+"
            lines.append(f"\t'*{spelling}{joint}[{zsh_quoted(short(option.text))}]:{zsh_quoted(option.argument)}:{action}' \\")
    if commands:
        names = " ".join(f'{command.name}\\:"{zsh_quoted(short(command.text))}"' for command in commands)
        words = " ".join(sorted({word for command in commands for word in command.words}))
        lines.append(f"\t'1:command:(({names}))' \\")
        lines.append(f"\t'*:word:({words})' \\")
    lines[-1] = lines[-1].removesuffix(" \\")
    return "\n".join(lines) + "\n"


def main():
    shell, name, program = sys.argv[1:]
    said = subprocess.run([program, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    options, commands = read_help(said)
    sys.stdout.write({"bash": bash, "zsh": zsh}[shell](name, options, merged(commands)))


if __name__ == "__main__":
    main()
