"""The older server's documentation, executed as printed: its Python snippets, and its commands that concern Python.

The text is not edited. What it leaves to its reader is supplied from outside: the paths that it prints as placeholders
become those of real places (`PLACEHOLDERS`), and `fake/` holds what surrounds its programs, such as a free port and a
keyboard.
"""

from __future__ import annotations

import array
import ast
import contextlib
import inspect
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import warnings
import wave
from collections.abc import Iterator
from typing import Any
from unittest import mock

import ddsp_python
import numpy as np
from websockets.sync.client import connect

import older_server
from daemon import Daemon, free_port
from fake import mido, surroundings
from fake.relay import Relay
from snippets import PAGE, Snippet, snippet, snippets
from test_ddsp_support import cents, level, period_of, pitch

HERE = pathlib.Path(__file__).resolve().parent
MODEL = "Violin.tflite"
"""Name of the model that the page uses."""

EXECUTED = {
    ("Verify Installation", "bash"), ("Start Server", "bash"), ("Configuration", "python"), ("Model Path", "bash"),
    ("Model Path", "python"), ("Python Client Example", "python"), ("DDSPProcessor Class", "python"),
    ("Full API Reference", "python"), ("Multi-voice Synthesis", "python"), ("Batch Processing", "python"),
    ("Local Network", "bash"), ("Import Error", "bash"), ("Model Not Found", "bash"),
    ("Real-time Instrument", "python"), ("Audio Streaming", "python"),
}
"""Blocks of code that this file executes, by heading and language."""

NOT_EXECUTED = {
    ("Build Steps", "bash"): "its build.sh builds a C++ library; python/build.sh takes its place",
    ("Start Server", ""): "output; compared by the test of the command",
    ("Client Protocol", "json"): "a message with comments, sent by the Python examples",
    ("JavaScript Client Example", "javascript"): "not Python; tests/clients/ddsp_page.py runs it in Chromium",
    ("cURL Example (Testing)", "bash"): "not Python; tests/stream.rs sends such requests",
    ("MIDI File Rendering", "bash"): "render_midi.py never existed; ddsp_python.render_midi does",
    ("Latency Testing", "bash"): "latency_test.py never existed",
    ("Latency Testing", ""): "output",
    ("Local Network", ""): "an address",
    ("Production Server (systemd)", "ini"): "not Python",
    ("Production Server (systemd)", "bash"): "not Python",
    ("Docker", "dockerfile"): "not Python",
    ("Docker", "bash"): "not Python",
}
"""The other blocks, each with the reason."""


def real(text: str, folder: pathlib.Path) -> str:
    """Returns a text of the page with its placeholders for paths replaced by places in `folder`.

    The files need not exist: for a .tflite path, `ddsp_python` plays the embedded instrument of the same name, so that
    the placeholder's "model" becomes the name of an instrument.
    """
    for placeholder in ("/path/to/model.tflite", "/path/to/your/model.tflite", "/absolute/path/to/model.tflite"):
        text = text.replace(placeholder, str(folder / "models" / MODEL))
    return text.replace("/path/to/examples/python-server/lib", str(folder / "lib"))


def stop(process: subprocess.Popen[Any]) -> None:
    """Ends a process and what it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


class Page(unittest.TestCase):
    """A test in an empty folder that is the working directory, with the page's model as the default."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop("DDSP_MODEL_PATH", None)
        # A replaced .tflite file is announced once for each path; another test looks at that.
        quiet = warnings.catch_warnings()
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)
        warnings.simplefilter("ignore", UserWarning)

    def execute(self, block: Snippet) -> dict[str, Any]:
        """Executes a block with real paths; returns its globals."""
        return block.execute(real(block.text, self.folder))

    def python3(self, *command: str) -> dict[str, str]:
        """Returns an environment in which `python3` is a command, followed by the arguments."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        script = programs / "python3"
        quoted = " ".join(f"'{part}'" for part in command)
        script.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
        script.chmod(0o755)
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        return {**environment, "PATH": f"{programs}:{environment['PATH']}"}

    def shell(self, text: str, environment: dict[str, str]) -> str:
        """Runs shell commands; returns their output."""
        done = subprocess.run(
            ["sh", "-e", "-c", text], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def process(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        """Starts a process that the end of the test ends."""
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, env=environment, start_new_session=True, **output)
        self.addCleanup(stop, process)
        return process

    def await_port(self, port: int, process: subprocess.Popen[str]) -> None:
        """Waits until a server listens."""
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if process.poll() is not None:
                break
            time.sleep(0.1)
        stop(process)
        self.fail(f"the server did not open port {port}")

    def older_server(self) -> int:
        """Starts `older_server.py`; returns its port."""
        port = free_port()
        command = [sys.executable, str(HERE / "fake" / "surroundings.py"), str(HERE / "older_server.py")]
        self.await_port(port, self.process(command, {**self.path(), "OLDER_PORT": str(port)}))
        return port

    def streaming_server(self) -> int:
        """Starts the page's own streaming server, from a file with exactly its text; returns its port."""
        port = free_port()
        program = self.folder / "server_streaming.py"
        program.write_text(snippet("Audio Streaming", "python").text)
        command = [sys.executable, str(HERE / "fake" / "surroundings.py"), str(program)]
        self.await_port(port, self.process(command, {**self.path(), "OLDER_PORT": str(port)}))
        return port

    def daemon(self) -> int:
        """Starts `grooved` with its stream on a free port, which is returned."""
        daemon = Daemon()
        self.addCleanup(daemon.close)
        return daemon.ddsp_port

    def path(self) -> dict[str, str]:
        """Returns the environment with the modules of this process on the path, installed or not."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def frames_after(port: int, message: dict[str, Any], count: int) -> array.array:
    """Returns 16-bit samples of `count` frames that a server of the older kind pushes after a message."""
    sound = array.array("h")
    with connect(f"ws://127.0.0.1:{port}") as client:
        client.send(json.dumps(message))
        for _ in range(count):
            sound.frombytes(client.recv(10))
    return sound


class Blocks(unittest.TestCase):
    """The page as a whole."""

    def test_every_block_is_executed_or_left_out_for_a_reason(self) -> None:
        found = [(block.heading, block.language) for block in snippets()]
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual(set(found), EXECUTED | set(NOT_EXECUTED))
        self.assertFalse(EXECUTED & set(NOT_EXECUTED))
        self.assertFalse([heading for heading, language in NOT_EXECUTED if language == "python"])

    def test_a_block_is_the_text_between_its_fences(self) -> None:
        lines = PAGE.read_text(encoding="utf-8").splitlines()
        for block in snippets():
            first, last = block.line - 1, block.line - 1 + block.text.count("\n")
            self.assertEqual(lines[first - 1], f"```{block.language}")
            self.assertEqual(lines[first:last], block.text.splitlines())
            self.assertEqual(lines[last], "```")


class Settings(Page):
    """Snippets that set variables."""

    def test_configuration(self) -> None:
        found = self.execute(snippet("Configuration", "python"))
        for name in ("SAMPLE_RATE", "FRAME_MS", "HOST", "PORT"):
            self.assertEqual(getattr(older_server, name), found[name], name)
        processor = ddsp_python.DDSPProcessor(
            "violin", found["SAMPLE_RATE"], found["SAMPLE_RATE"] * found["FRAME_MS"] // 1000
        )
        self.assertEqual((processor.sample_rate, processor.block_size), (48_000, 960))

    def test_model_path(self) -> None:
        path = self.execute(snippet("Model Path", "python"))["MODEL_PATH"]
        self.assertEqual(ddsp_python.DDSPProcessor(path, 48000.0, 960).instrument.name, "violin")

    def test_multi_voice_message(self) -> None:
        message = self.execute(snippet("Multi-voice Synthesis", "python"))["message"]
        for port in (self.older_server(), self.daemon()):
            sound = np.array(frames_after(port, message, 60)[960 * 20 :], dtype=np.float64)
            spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
            hz = np.fft.rfftfreq(len(sound), 1 / 48_000)
            between = np.max(spectrum[(hz > 285) & (hz < 305)])
            for f0 in message["f0s"]:
                self.assertGreater(np.max(spectrum[np.abs(hz - f0) < 3]), 10 * between, f0)


class Api(Page):
    """Snippets that show the interface of the module."""

    def test_class_example(self) -> None:
        found = self.execute(snippet("DDSPProcessor Class", "python"))
        self.assertIn("lib", sys.path)
        sys.path.remove("lib")
        processor, block = found["processor"], found["audio_buffer"]
        self.assertIsInstance(processor, ddsp_python.DDSPProcessor)
        self.assertEqual(len(block), 960)
        self.assertTrue(all(isinstance(sample, float) for sample in block))
        self.assertTrue(any(block))
        processor.get_next_block(9600)
        found = pitch(np.array(processor.get_next_block(24_000)), 48_000)
        self.assertLess(abs(cents(found, 440.0 * 2.0 ** (2.0 / 12.0))), 3.0)

    def test_full_reference(self) -> None:
        block = snippet("Full API Reference", "python")
        # A class without bodies is no Python; with bodies it can be parsed.
        text = re.sub(r"^( +def [^#\n]*?) *(#.*)?$", r"\1: ...", block.text, flags=re.MULTILINE)
        (declared,) = ast.parse(text).body
        assert isinstance(declared, ast.ClassDef)
        methods = {method.name: method for method in declared.body if isinstance(method, ast.FunctionDef)}
        self.assertEqual(len(methods), 8)
        class_ = getattr(ddsp_python, declared.name)
        values = {"str": "violin", "float": 48000.0, "int": 960}
        for name, method in methods.items():
            names = [argument.arg for argument in method.args.args][1:]
            arguments = [values[ast.unparse(argument.annotation)] for argument in method.args.args[1:]]
            with self.subTest(name):
                if name == "__init__":
                    class_(*arguments)
                    class_(**dict(zip(names, arguments)))
                    if sys.version_info < (3, 10) and class_.__text_signature__ is None:
                        continue  # Only newer versions find it in every extension module.
                    signature = inspect.signature(class_)
                else:
                    processor = class_("violin", 48000.0, 960)
                    for result in (
                        getattr(processor, name)(*arguments),
                        getattr(processor, name)(**dict(zip(names, arguments))),
                    ):
                        self.check_result(result, ast.unparse(method.returns))
                    signature = inspect.signature(getattr(processor, name))
                declared_names = [n for n, p in signature.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
                self.assertEqual(declared_names, names)

    def check_result(self, result: Any, declared: str) -> None:
        """Asserts that a result is what the reference declares."""
        if declared == "None":
            self.assertIsNone(result)
            return
        self.assertEqual(declared, "list[float]")
        self.assertEqual(len(result), 960)
        self.assertTrue(all(type(sample) is float for sample in result))
        self.assertEqual(list(result), [result[k] for k in range(960)])

    def test_batch_processing(self) -> None:
        found = self.execute(snippet("Batch Processing", "python"))
        with wave.open("output.wav", "rb") as wav:
            form = (wav.getnchannels(), wav.getsampwidth(), wav.getframerate(), wav.getnframes())
            self.assertEqual(form, (1, 2, 48_000, 48_000))
            sound = np.frombuffer(wav.readframes(48_000), dtype="<i2").astype(np.float64)
        self.assertEqual(len(found["audio_output"]), 48_000)
        for k, hz in enumerate(found["f0_sequence"]):
            self.assertAlmostEqual(hz, 440.0 + 50.0 * np.sin(2 * np.pi * k / 50))
            # The first hop of a frame glides to its pitch, the second holds it. The first frame is an attack.
            if k > 0:
                heard = 48_000 / period_of(sound[k * 960 + 480 : (k + 1) * 960], 60, 200)
                self.assertLess(abs(cents(heard, hz)), 10.0, f"frame {k}: {heard:.1f} Hz, expected {hz:.1f} Hz")
        self.assertTrue(-40.0 < level(sound / 32_768) < -6.0)


class Clients(Page):
    """The page's clients, with the page's server, a server of the older kind, and the daemon."""

    def play_note(self, port: int) -> str:
        """Runs the client example; returns what it prints."""
        printed = io.StringIO()
        with surroundings.on_port(port), contextlib.redirect_stdout(printed):
            snippet("Python Client Example", "python").execute()
        return printed.getvalue()

    def test_client_with_the_streaming_server(self) -> None:
        port = self.streaming_server()
        self.assertEqual(self.play_note(port), "Received 3840 bytes of audio\n")
        sound = array.array("f")
        with connect(f"ws://localhost:{port}") as client:
            for _ in range(50):
                client.send(json.dumps({"f0s": [440.0], "loudness": 0.8}))
                sound.frombytes(client.recv(10))
        self.assertLess(abs(cents(pitch(np.array(sound)[24_000:], 48_000), 440.0)), 3.0)

    def test_client_with_a_server_of_the_older_kind(self) -> None:
        port = self.older_server()
        self.assertEqual(self.play_note(port), "Received 1920 bytes of audio\n")
        self.hear(port)

    def test_client_with_the_daemon(self) -> None:
        port = self.daemon()
        self.assertEqual(self.play_note(port), "Received 1920 bytes of audio\n")
        self.hear(port)

    def hear(self, port: int) -> None:
        """Asserts that the message of the client example is heard."""
        sound = frames_after(port, {"f0s": [440.0], "loudness": 0.8}, 60)[960 * 20 :]
        self.assertLess(abs(cents(pitch(np.array(sound), 48_000), 440.0)), 3.0)

    def test_midi_keyboard_with_a_server_of_the_older_kind(self) -> None:
        self.keyboard(self.older_server())

    def test_midi_keyboard_with_the_daemon(self) -> None:
        self.keyboard(self.daemon())

    def keyboard(self, port: int) -> None:
        """Runs the MIDI keyboard example and listens to what it plays."""
        notes = [(69, 100), (72, 60), (62, 127)]
        keys = []
        for note, velocity in notes:
            keys += [(mido.Message("note_on", note, velocity), 0.7), (mido.Message("note_off", note, 0), 0.0)]
        with Relay(f"ws://127.0.0.1:{port}") as relay, mock.patch.object(mido, "keys", keys):
            with surroundings.on_port(relay.port), mock.patch.dict(sys.modules, {"mido": mido}):
                snippet("Real-time Instrument", "python").execute()
        heard = relay.sounds()
        self.assertEqual(len(heard), len(notes))
        for (note, velocity), (message, sound) in zip(notes, heard):
            sent = json.loads(message)
            hz = 440.0 * 2.0 ** ((note - 69) / 12.0)
            self.assertAlmostEqual(sent["f0s"][0], hz)
            self.assertAlmostEqual(sent["loudness"], velocity / 127.0)
            with self.subTest(note):
                self.assertGreater(len(sound), 960 * 25, "more than half a second is heard")
                found = pitch(np.array(sound[960 * 10 : 960 * 25], dtype=np.float64), 48_000)
                self.assertLess(abs(cents(found, hz)), 5.0)


class OlderServer(Page):
    """`older_server.py`, whose protocol is that of the older server."""

    def test_frames_come_from_connection_on(self) -> None:
        port = self.older_server()
        with connect(f"ws://127.0.0.1:{port}") as client:
            begin = time.monotonic()
            frames = [client.recv(10) for _ in range(100)]
            seconds = time.monotonic() - begin
        self.assertEqual({len(frame) for frame in frames}, {1920})
        # A busy machine is late, never early.
        self.assertGreater(seconds, 1.9, "100 frames of 20 ms")
        sound = np.frombuffer(b"".join(frames), dtype="<i2")[24_000:]
        self.assertLess(abs(cents(pitch(sound, 48_000), 440.0)), 3.0)

    def test_messages(self) -> None:
        port = self.older_server()
        self.assertFalse(any(frames_after(port, {"f0s": []}, 20)[960 * 10 :]))
        self.assertFalse(any(frames_after(port, {"f0s": [0, -5]}, 20)[960 * 10 :]))
        for message, hz in [
            ({"f0": 330.0}, 330.0), ({"f0s": ["x", None, 550.0]}, 550.0), ({"midi": [[144, 72, 100]]}, 523.25),
        ]:
            sound = np.array(frames_after(port, {"loudness": 0.7, **message}, 60)[960 * 20 :])
            self.assertLess(abs(cents(pitch(sound, 48_000), hz)), 3.0, message)
        gains = ({"type": "gain", "value": value} for value in (0.2, 0.9))
        soft, loud = (level(np.array(frames_after(port, gain, 60)[960 * 20 :])) for gain in gains)
        self.assertGreater(loud, soft + 3.0)

    def test_voices_are_averaged(self) -> None:
        connection = older_server.Connection()
        connection.obey('{"f0s": [440.0, 554.37, 659.26, 880.0], "loudness": 0.8}')
        self.assertEqual(connection.f0s, [440.0, 554.37, 659.26])
        voices = [ddsp_python.DDSPProcessor("violin", 48000.0, 960) for _ in range(3)]
        for _ in range(20):
            found = np.frombuffer(connection.frame(), dtype="<i2")
            frames = [np.frombuffer(v.process(hz, 0.8), dtype="<i2") for v, hz in zip(voices, connection.f0s)]
            expected = np.trunc(np.sum(np.array(frames, dtype=np.float64), axis=0) / 3)
            np.testing.assert_array_equal(found, expected)
        self.assertTrue(np.any(found))

    def test_invalid_messages_are_reported_and_ignored(self) -> None:
        connection = older_server.Connection()
        connection.obey('{"f0s": [330.0], "loudness": 0.7}')
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            for text in ("nonsense", "5", "[]", '{"loudness": "x"}', '{"f0s": 5}', '{"type": "gain"}'):
                connection.obey(text)
        self.assertEqual((connection.f0s, connection.loudness), ([330.0], 0.7))
        self.assertEqual(printed.getvalue().count("Error processing message: "), 6)
        self.assertEqual(len(connection.frame()), 1920)


class Commands(Page):
    """Shell commands of the page that concern Python."""

    def lib(self) -> dict[str, str]:
        """Puts lib/ddsp_python.so into the folder; returns an environment whose `python3` has no installed packages."""
        if "DDSP_LIB" not in os.environ:
            self.skipTest("DDSP_LIB is not set to a folder with ddsp_python.so, or with lib/ddsp_python.so")
        given = pathlib.Path(os.environ["DDSP_LIB"])
        module = next((p for p in (given / "lib" / "ddsp_python.so", given / "ddsp_python.so") if p.exists()), None)
        self.assertIsNotNone(module, f"{given} has no ddsp_python.so")
        (self.folder / "lib").mkdir()
        shutil.copy(module, self.folder / "lib")
        # -S: the installed package is out of reach, and numpy with it.
        return self.python3(sys.executable, "-S")

    def test_verify_installation(self) -> None:
        environment = self.lib()
        self.assertEqual(self.shell(snippet("Verify Installation", "bash").text, environment), "Success!\n")

    def test_the_single_file_is_all_that_the_class_example_needs(self) -> None:
        environment = self.lib()
        text = real(snippet("DDSPProcessor Class", "python").text, self.folder)
        (self.folder / "example.py").write_text(f"{text}print(len(audio_buffer), ddsp_python.__file__)\n")
        self.assertEqual(self.shell("python3 example.py", environment).split()[0], "960")
        self.assertIn("ddsp_python.so", self.shell("python3 example.py", environment))

    def test_import_error(self) -> None:
        environment = self.lib()
        text = real(snippet("Import Error", "bash").text, self.folder)
        printed = self.shell(f'{text}\npython3 -c "import ddsp_python; print(ddsp_python.__file__)"', environment)
        self.assertEqual(printed.split()[-1], str(self.folder / "lib" / "ddsp_python.so"))

    def test_model_not_found(self) -> None:
        environment = self.python3(sys.executable)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        ask = "python3 -W ignore -c 'import ddsp_python; print(ddsp_python.DDSPProcessor().instrument.name)'"
        text = snippet("Model Not Found", "bash").text.replace("model.tflite", "oboe.tflite")
        self.assertEqual(self.shell(f"{text}\n{ask}", environment).split(), ["oboe"])

    def start(self, block: Snippet) -> Iterator[str]:
        """Runs a command that starts server.py; returns its first two lines, and then hears the server."""
        port = free_port()
        shutil.copy(HERE / "older_server.py", self.folder / "server.py")
        environment = self.python3(sys.executable, str(HERE / "fake" / "surroundings.py"))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        environment["OLDER_PORT"] = str(port)
        process = self.process(["sh", "-c", real(block.text, self.folder)], environment)
        lines = []
        while len(lines) < 2:
            line = process.stdout.readline()
            self.assertTrue(line, "the server has ended")
            if "Warning" not in line and not line.startswith("  "):
                lines.append(line)
        self.await_port(port, process)
        sound = frames_after(port, {"f0s": [440.0], "loudness": 0.8}, 60)[960 * 20 :]
        self.assertLess(abs(cents(pitch(np.array(sound), 48_000), 440.0)), 3.0)
        return iter(lines)

    def test_start_server(self) -> None:
        self.assertEqual("".join(self.start(snippet("Start Server", "bash"))), snippet("Start Server", "").text)

    def test_start_with_a_model_path(self) -> None:
        self.start(snippet("Model Path", "bash"))

    def test_start_for_a_local_network(self) -> None:
        self.start(snippet("Local Network", "bash"))


if __name__ == "__main__":
    unittest.main()
