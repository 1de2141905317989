"""A daemon to test against."""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import wave
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("GROOVED", ROOT / "target/release/grooved")).resolve()
# Settings of the person who runs the tests must not reach the daemon.
FOREIGN = (
    "HOME", "STATE_DIRECTORY", "XDG_STATE_HOME", "NOTIFY_SOCKET", "JOURNAL_STREAM",
    "DDSP_MODEL_PATH", "DB_PATH", "PORT",
)  # fmt: skip


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Returns a port that nothing uses."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """grooved without a card, on ports of its own, in a folder of its own, which is also its media root.

    `settings` are lines of the configuration by section, such as `{"http": 'token = "long enough"'}`. It can be started
    again after it has ended, on the same ports.
    """

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.settings = {"ddsp": f'models = "{ROOT / "models"}"', **(settings or {})}
        self.scratch = tempfile.TemporaryDirectory(prefix="grooved-python-")
        self.folder = Path(self.scratch.name)
        self.http_port = free_port()
        self.ddsp_port = free_port()
        self.osc_port = free_port(socket.SOCK_DGRAM)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.http_port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.ddsp_port}"

    def start(self) -> None:
        """Starts it and waits until it responds."""
        config = self.folder / "grooved.toml"
        config.write_text("".join(f"[{name}]\n{lines}\n" for name, lines in self.settings.items()))
        command = [
            str(BINARY), "--config", str(config), "--output", "null", "--port", str(self.osc_port),
            "--http-port", str(self.http_port), "--ddsp-listen", f"127.0.0.1:{self.ddsp_port}",
        ]  # fmt: skip
        env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60.0
        while not self._responds():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the daemon did not start:\n{self.log()}")
            time.sleep(0.05)

    def _responds(self) -> bool:
        try:
            # No proxy of the environment is on the way to this machine.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{self.http_port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def log(self) -> str:
        """Returns what it has logged since its last start."""
        return (self.folder / "log").read_text(errors="replace")

    def freeze(self) -> None:
        """Stops all of its threads until `thaw`; its connections stay open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """Lets it continue."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once, as a power failure would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Ends it as systemd would."""
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def close(self) -> None:
        """Ends it, however it is, and removes its folder."""
        self.kill()
        self.scratch.cleanup()

    def tone(self, name: str, seconds: float = 2.0) -> str:
        """Writes a WAV file with a sine into its media root; returns the file's name."""
        rate = 48_000
        samples = [round(8_000 * math.sin(math.tau * 440 * k / rate)) for k in range(round(seconds * rate))]
        with wave.open(str(self.folder / name), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
        return name


class DaemonTest(unittest.IsolatedAsyncioTestCase):
    """Tests against one daemon, which they share. A test that hangs ends the run with a traceback."""

    daemon: Daemon

    @classmethod
    def setUpClass(cls) -> None:
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.close)

    def setUp(self) -> None:
        # Tests that expect a warning say so.
        logging.getLogger("grooved").setLevel(logging.ERROR)
        # Tests wait for the daemon's start, and compute, in the loop.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        faulthandler.dump_traceback_later(300, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)

    def another(self, settings: dict[str, str] | None = None) -> Daemon:
        """Starts a daemon for this test alone."""
        daemon = Daemon(settings)
        self.addCleanup(daemon.close)
        return daemon
