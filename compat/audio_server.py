#!/usr/bin/env python3
"""Runs grooved in place of the older audio server, for scripts and units that start it by name.

Put a link to this file, or a copy, where the older audio_server.py was. Grooved accepts all of that server's flags. Those
with another meaning are translated:

--port      57120 if omitted, as in the older server, and only this port
--device N  ignored, because it is a device number of PortAudio; a name is passed on

The parent of the working directory becomes a media root, because the older installation keeps stems beside the server's
folder; the parent of the home folder does not. If the program is not in the path, set GROOVED to its file name.

This process becomes grooved (exec) under the older command line. Its process ID stays the same, so that signals, exit
codes, 'kill $!' and systemd's main process are grooved's, 'kill -9' leaves nothing behind, and scripts that search the
processes for "python.*audio_server.py" find it.
"""
import os
import shutil
import sys


def program():
    """Returns the program: GROOVED, or grooved from the path or its default location."""
    path = os.environ.get("GROOVED") or shutil.which("grooved") or "/usr/bin/grooved"
    if not os.access(path, os.X_OK):
        sys.exit(f"audio_server.py: '{path}' is not executable; install grooved, or set GROOVED to its file name")
    return path


def take(arguments, flag):
    """Removes a flag with a value; returns the other arguments and the flag's last value, or None."""
    kept, value = [], None
    arguments = iter(arguments)
    for argument in arguments:
        if argument == flag:
            value = next(arguments, "")
        elif argument.startswith(flag + "="):
            value = argument[len(flag) + 1:]
        else:
            kept.append(argument)
    return kept, value


def media_root():
    """Returns the parent of the working directory, unless it is the root or contains the home folder."""
    here, home = os.getcwd(), os.path.expanduser("~")
    above = os.path.dirname(here)
    return None if above == "/" or os.path.commonpath([here, home]) == here else above


def translated(arguments):
    """Translates the older server's arguments to grooved's."""
    arguments, device = take(arguments, "--device")
    arguments, port = take(arguments, "--port")
    arguments, listen = take(arguments, "--ddsp-listen")
    if device is not None and device.lstrip("-").isdigit():
        print(
            f"audio_server.py: --device {device} is a device number of PortAudio: ignored; 'grooved devices' lists cards, "
            "--device NAME selects one",
            file=sys.stderr,
            flush=True,
        )
    elif device is not None:
        arguments += ["--device", device]
    # The older server had no instruments; server.py may run beside it.
    arguments += ["--port", port or "57120", "--ddsp-listen", listen or "off"]
    root = media_root()
    return arguments + (["--media-root", root] if root else [])


if __name__ == "__main__":
    os.execv(program(), [f"python3 {os.path.abspath(__file__)}"] + translated(sys.argv[1:]))
