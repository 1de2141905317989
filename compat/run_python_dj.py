#!/usr/bin/env python3
"""Plays a DJ plan in one step, in place of the older launcher: run_python_dj.py PLAN.json

The older launcher started a server, ran the plan executor and stopped the server afterwards. 'grooved run-plan PLAN'
does all of it in one process with its own engine and card; if a daemon runs on this machine, it has the card, and plays
the plan. All flags of 'grooved run-plan' may be used. If the program is not in the path, set GROOVED to its file name.
"""
import os
import shutil
import sys


def program():
    """Returns the program: GROOVED, or grooved from the path or its default location."""
    path = shutil.which(os.environ.get("GROOVED") or "grooved") or os.environ.get("GROOVED") or "/usr/bin/grooved"
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        sys.exit(f"run_python_dj.py: '{path}' is not executable; install grooved, or set GROOVED to its file name")
    return path


if __name__ == "__main__":
    os.execv(program(), ["grooved", "run-plan"] + sys.argv[1:])
