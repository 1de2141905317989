#!/usr/bin/env python3
"""Runs 'grooved sections' in place of the older section exporter, for scripts that start it by name.

Put a link to this file, or a copy, where the older struct_loader.py was. All of its flags keep their meaning, may be
abbreviated, and have their defaults beside this file: structure files in ../stems/dj/struct, sounds in ../stems/dj and
parts in parts_temp. All other flags of 'grooved sections' may be used too. If the program is not in the path, set
GROOVED to its file name.
"""
import os
import shutil
import sys

# The older flags; each has a value.
OLDER = [
    "--output", "--bpm", "--delta", "--bpm-min", "--bpm-max", "--target-bpm", "--key", "--n-sections", "--csv-out",
    "--parts-dir", "--audio-dir", "--rekordbox-xml",
]
# Flags of 'grooved sections' without a value.
SWITCHES = [
    "--allow-half-double", "--strict-segments", "--no-orig", "--resume", "--force", "--dry-run", "--json",
    "--more-columns", "--explain", "--verbose", "-v", "--help", "-h",
]


def program():
    """Returns the program: GROOVED, or grooved from the path or its default location."""
    path = shutil.which(os.environ.get("GROOVED") or "grooved") or os.environ.get("GROOVED") or "/usr/bin/grooved"
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        sys.exit(f"struct_loader.py: '{path}' is not executable; install grooved, or set GROOVED to its file name")
    return path


def whole(flag):
    """Returns the older flag of which this is an unambiguous beginning, else the flag itself."""
    name, equals, value = flag.partition("=")
    meant = [older for older in OLDER if older.startswith(name)]
    if name in OLDER or not name.startswith("--") or len(meant) != 1:
        return flag
    return meant[0] + equals + value


def translated(arguments, folder):
    """Completes flags and adds the older defaults, which lie beside the program in `folder`."""
    result, given, has_folder = [], set(), False
    values = iter(arguments)
    for argument in values:
        if argument == "--":
            # Only folders follow; the older defaults come before them.
            rest = list(values)
            has_folder = has_folder or bool(rest)
            result += rest
            break
        if not argument.startswith("-") or argument == "-":
            has_folder = True
            result.append(argument)
            continue
        flag = whole(argument)
        result.append(flag)
        given.add(flag.partition("=")[0])
        joined = "=" in flag or (flag.startswith("-o") and flag != "-o")
        if not joined and flag not in SWITCHES:
            value = next(values, None)
            if value is None:
                # Without its value the command line is invalid, whatever is added: grooved says so.
                return result
            result.append(value)
    above = os.path.normpath(os.path.join(folder, "..", "stems", "dj"))
    if not has_folder:
        result.append(os.path.join(above, "struct"))
    if "--audio-dir" not in given:
        result += ["--audio-dir", above]
    if "--parts-dir" not in given:
        result += ["--parts-dir", os.path.join(folder, "parts_temp")]
    return result


if __name__ == "__main__":
    beside = os.path.dirname(os.path.abspath(__file__))
    os.execv(program(), ["grooved", "sections"] + translated(sys.argv[1:], beside))
