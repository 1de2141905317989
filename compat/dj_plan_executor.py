#!/usr/bin/env python3
"""Runs 'grooved run-plan' in place of the older plan executor, for scripts that start it by name.

Put a link to this file, or a copy, where the older dj_plan_executor.py was. Its flags keep their meaning: --host
(default: localhost), --port (57120) and --mode (interactive, full or info). As before, a daemon that runs there plays
the plan; all other flags of 'grooved run-plan' may be used too. If the program is not in the path, set GROOVED to its
file name.
"""
import os
import shutil
import sys


def program(name="dj_plan_executor.py"):
    """Returns the program: GROOVED, or grooved from the path or its default location."""
    path = shutil.which(os.environ.get("GROOVED") or "grooved") or os.environ.get("GROOVED") or "/usr/bin/grooved"
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        sys.exit(f"{name}: '{path}' is not executable; install grooved, or set GROOVED to its file name")
    return path


def flags_with(arguments, flag):
    """Returns whether a flag, or an unambiguous beginning of it as the older program accepted, is given."""
    names = [argument.partition("=")[0] for argument in arguments]
    return any(len(name) > 3 and flag.startswith(name) for name in names)


def translated(arguments):
    """Adds the older default host, unless this call needs no daemon."""
    without = ["--host", "--embedded", "--render", "--dry-run", "--help"]
    info = any(argument in ("info", "list", "check", "--mode=info", "--mode=list", "--mode=check", "-h")
               for argument in arguments)
    if info or any(flags_with(arguments, flag) for flag in without):
        return list(arguments)
    return list(arguments) + ["--host", "localhost"]


if __name__ == "__main__":
    os.execv(program(), ["grooved", "run-plan"] + translated(sys.argv[1:]))
