#!/usr/bin/env python3
"""The older audio server's name and flags, for scripts and units that start it: runs grooved in its place.

Put a link to this file, or a copy, where the older audio_server.py was. All of that server's flags are grooved's own. What
differs in meaning is translated here:

--port      57120 if it is left out, as there, and that port alone
--device N  counted PortAudio's devices and is left out; a name is passed on

The folder above the one it is started in becomes a media root, because the older installation keeps stems beside the
server's folder; the home folder's own does not. GROOVED names the program, if it is not in the path.

This process becomes grooved (exec) under the older command line. Its process number stays, so that signals, exit codes,
'kill $!' and systemd's main process are grooved's, nothing is left behind by 'kill -9', and scripts that look for
"python.*audio_server.py" among the processes find it.
"""
import os
import shutil
import sys


def program():
    """The program: GROOVED, or grooved from the path or its usual place."""
    path = os.environ.get("GROOVED") or shutil.which("grooved") or "/usr/bin/grooved"
    if not os.access(path, os.X_OK):
        sys.exit(f"audio_server.py: '{path}' is not a program; install grooved, or name it in GROOVED")
    return path


def take(arguments, flag):
    """The arguments without a flag that has a value, and its value (the last one, or None)."""
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
    """The folder above the present one, unless that is where the users' home folders are, or the root."""
    here, home = os.getcwd(), os.path.expanduser("~")
    above = os.path.dirname(here)
    return None if above == "/" or os.path.commonpath([here, home]) == here else above


def translated(arguments):
    """Grooved's arguments for the older server's."""
    arguments, device = take(arguments, "--device")
    arguments, port = take(arguments, "--port")
    arguments, listen = take(arguments, "--ddsp-listen")
    if device is not None and device.lstrip("-").isdigit():
        print(
            f"audio_server.py: --device {device} is a number of PortAudio and is left out; 'grooved devices' lists cards, "
            "--device NAME chooses one",
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
