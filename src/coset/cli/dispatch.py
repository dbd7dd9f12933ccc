"""Which word leads to which command; a command's module is imported when its word is typed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence

from coset import __version__
from coset.core.errors import UnknownNameError
from coset.core.registry import SUBJECTS, built_subjects, load

__all__ = ["COMMANDS", "run_command"]

# word: (module, what it does); the module has `COMMAND`, a function or a table of functions.
COMMANDS: dict[str, tuple[str, str]] = {
    "verify": ("verify", "check claims, their mutants, and write each verdict"),
    "claims": ("claims", "list the claims, or show one with its code, test and verdict"),
    "papers": ("papers", "list the nine papers and what is built of them"),
    "run": ("run", "run an experiment at a preset; resumes by itself"),
    "sweep": ("sweep", "run an experiment over a grid and seeds in several processes"),
    "report": ("report", "write the HTML report from what is stored"),
    "data": ("data", "list, bring and check data sets"),
    "bench": ("bench", "measure a hot path beside its peers and its limit"),
    "backends": ("backends", "show which implementation each operation uses, and why"),
    "inspect": ("inspect", "show what a model file holds without loading it"),
}

Command = Callable[..., int | None]


def run_command(words: Sequence[str]) -> int:
    """Run the command that the words name.

    Args:
        words: the command and its arguments.

    Returns:
        The exit code.

    Raises:
        UnknownNameError: if there is no such command.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        _print_help()
        return 0
    if words[0] in ("-V", "--version"):
        print(f"coset {__version__}")
        return 0
    word, rest = words[0], list(words[1:])
    if word in COMMANDS:
        module = importlib.import_module(f"coset.cli.{COMMANDS[word][0]}")
        return _call(f"coset {word}", module.COMMAND, rest)
    if word in {subject.name for subject in SUBJECTS}:
        return _run_subject(word, rest)
    raise UnknownNameError.of("command", word, [*COMMANDS, *(s.name for s in built_subjects())])


def _run_subject(name: str, rest: list[str]) -> int:
    commands = load(name, "commands")
    if commands is None:
        raise UnknownNameError(f"{name} is not built yet; built: {_names()}")
    return _call(f"coset {name}", commands.COMMANDS, rest)


def _names() -> str:
    return ", ".join(subject.name for subject in built_subjects())


def _call(prog: str, command: Command | Mapping[str, Command], words: list[str]) -> int:
    """Parse the words for one function, or for the function that the first word names."""
    if isinstance(command, Mapping):
        if not words or words[0] in ("-h", "--help", "help"):
            _print_commands(prog, command)
            return 0
        if words[0] not in command:
            raise UnknownNameError.of(f"command of {prog}", words[0], list(command))
        return _call(f"{prog} {words[0]}", command[words[0]], words[1:])
    import tyro

    # One spelling a flag: --json, --no-mutants; never both.
    return tyro.cli(command, prog=prog, args=words, config=(tyro.conf.FlagCreatePairsOff,)) or 0


def _print_commands(prog: str, commands: Mapping[str, Command]) -> None:
    """List the commands of a subject, each with the first sentence of its help."""
    from rich.table import Table

    from coset.cli.output import console

    out = console()
    out.print(f"usage: {prog} COMMAND …\n")
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for word, command in commands.items():
        table.add_row(word, " ".join((command.__doc__ or "").split("\n\n")[0].split()))
    out.print(table)
    out.print(f"\nfor options and an example: {prog} COMMAND --help")


def _print_help() -> None:
    from rich.table import Table

    from coset.cli.output import console

    out = console()
    out.print(
        "[bold]coset[/bold]: structure in machine learning, every theorem a check you can run"
    )
    out.print("\nusage: coset COMMAND …    (coset COMMAND --help shows an example)\n")
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for word, (_, summary) in COMMANDS.items():
        table.add_row(word, summary)
    table.add_section()
    for subject in built_subjects():
        table.add_row(subject.name, subject.title)
    out.print(table)
    out.print("\nexample: coset verify sharing.C5")
