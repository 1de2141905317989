#!/usr/bin/env python3
"""The older DDSP server's name, for scripts and units that start it: runs grooved's stream in its place.

Put a link to this file, or a copy, where the older server.py was. It takes --host (0.0.0.0 if left out) and --port (8765);
whatever else is given is passed on to grooved. Nothing but the stream is served: the sound card, OSC from other machines and
the page are left to a grooved that may run beside it.

DDSP_MODEL_PATH names the instrument, as before. For a .tflite file that is an .onnx file beside it, as models/convert.py
writes it, or the instrument of that name that comes with grooved. GROOVED names the program, if it is not in the path.

This process becomes grooved (exec) under the older command line, as audio_server.py describes.
"""
import os
import shutil
import socket
import sys


def program():
    """The program: GROOVED, or grooved from the path or its usual place."""
    path = os.environ.get("GROOVED") or shutil.which("grooved") or "/usr/bin/grooved"
    if not os.access(path, os.X_OK):
        sys.exit(f"server.py: '{path}' is not a program; install grooved, or name it in GROOVED")
    return path


def take(arguments, flag, default):
    """The arguments without a flag that has a value, and its value."""
    kept, value = [], default
    arguments = iter(arguments)
    for argument in arguments:
        if argument == flag:
            value = next(arguments, "")
        elif argument.startswith(flag + "="):
            value = argument[len(flag) + 1:]
        else:
            kept.append(argument)
    return kept, value


def address(host, port):
    """Host and port as grooved takes them; a name becomes an IP address."""
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, OverflowError, ValueError) as error:
        sys.exit(f"server.py: --host {host} --port {port}: {error}")
    ip = min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0]
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def instrument(path):
    """The file to play for the older server's model."""
    if not path.endswith(".tflite"):
        return path
    stem = os.path.basename(path)[: -len(".tflite")].lower()
    folders = ("/usr/share/grooved/models", os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "models"))
    candidates = [path[: -len(".tflite")] + ".onnx"] + [os.path.join(folder, stem + ".onnx") for folder in folders]
    for candidate in candidates:
        if os.path.isfile(candidate):
            print(f"server.py: {candidate} is played for {path}", file=sys.stderr, flush=True)
            return candidate
    # Grooved tells how to convert it.
    return path


if __name__ == "__main__":
    rest, host = take(sys.argv[1:], "--host", "0.0.0.0")
    rest, port = take(rest, "--port", "8765")
    listen = address(host, port)
    if os.environ.get("DDSP_MODEL_PATH"):
        os.environ["DDSP_MODEL_PATH"] = instrument(os.environ["DDSP_MODEL_PATH"])
    print(f"Starting DDSP WebSocket Server on ws://{host}:{port}", flush=True)
    own = ["--output", "null", "--http-port", "0", "--host", "127.0.0.1", "--port", "0", "--ddsp-listen", listen]
    os.execv(program(), [f"python3 {os.path.abspath(__file__)}"] + own + rest)
