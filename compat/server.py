#!/usr/bin/env python3
"""Runs grooved's DDSP stream in place of the older DDSP server, for scripts and units that start it by name.

Put a link to this file, or a copy, where the older server.py was. It accepts --host (default 0.0.0.0) and --port (default
8765); all other arguments are passed on to grooved. Only the stream is served: the sound card, OSC from other machines and
the page are left to another grooved that may run at the same time.

DDSP_MODEL_PATH names the instrument, as before. A .tflite file is replaced by the .onnx file beside it, as written by
models/convert.py, or by grooved's instrument of that name. If the program is not in the path, set GROOVED to its file name.

This process becomes grooved (exec) under the older command line, as audio_server.py describes.
"""
import os
import shutil
import socket
import sys


def program():
    """Returns the program: GROOVED, or grooved from the path or its default location."""
    path = os.environ.get("GROOVED") or shutil.which("grooved") or "/usr/bin/grooved"
    if not os.access(path, os.X_OK):
        sys.exit(f"server.py: '{path}' is not executable; install grooved, or set GROOVED to its file name")
    return path


def take(arguments, flag, default):
    """Removes a flag with a value; returns the other arguments and the flag's last value, or the default."""
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
    """Returns host and port in grooved's form, with a name resolved to an IP address."""
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, OverflowError, ValueError) as error:
        sys.exit(f"server.py: --host {host} --port {port}: {error}")
    ip = min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0]
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def instrument(path):
    """Returns the instrument file for the older server's model."""
    if not path.endswith(".tflite"):
        return path
    stem = os.path.basename(path)[: -len(".tflite")].lower()
    folders = ("/usr/share/grooved/models", os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "models"))
    candidates = [path[: -len(".tflite")] + ".onnx"] + [os.path.join(folder, stem + ".onnx") for folder in folders]
    for candidate in candidates:
        if os.path.isfile(candidate):
            print(f"server.py: using {candidate} for {path}", file=sys.stderr, flush=True)
            return candidate
    # Grooved's error explains how to convert it.
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
