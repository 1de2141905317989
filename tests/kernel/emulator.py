"""An emulated machine as QEMU runs it: started, watched, told things over its monitor, and ended without warning."""

import json, os, socket, subprocess, time


class Trouble(Exception):
    """The harness can't go on: said in one line, no traceback."""


class Emulator:
    """QEMU with a monitor. Its files and sockets lie in `work`, where it runs."""

    def __init__(self, work, argv):
        self.work = work
        (work / "qmp.sock").unlink(missing_ok=True)
        self.errors = open(work / "qemu.log", "w")
        argv = [*argv, "-qmp", "unix:qmp.sock,server=on,wait=off"]
        self.qemu = subprocess.Popen(argv, cwd=work, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        try:
            self.monitor = self.connect("qmp.sock").makefile("rw")
            self.monitor.readline()  # greeting
            self.qmp("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def connect(self, name, seconds=20):
        # The path of a Unix socket must be short; relative to the work directory it always is.
        end = time.monotonic() + seconds
        here = os.getcwd()
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                os.chdir(self.work)
                link.connect(name)
                link.settimeout(seconds)
                return link
            except OSError:
                link.close()
                if self.qemu.poll() is not None or time.monotonic() > end:
                    raise Trouble("QEMU did not start: " + (self.work / "qemu.log").read_text().strip()) from None
                time.sleep(0.05)
            finally:
                os.chdir(here)

    def qmp(self, command, **arguments):
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:  # events (DEVICE_DELETED, ...) come in between
            line = self.monitor.readline()
            if not line:
                raise Trouble("QEMU's monitor closed")
            answer = json.loads(line)
            if "error" in answer:
                raise Trouble(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def add(self, device):
        """Plugs a device in; the last one with its id may still be on its way out."""
        end = time.monotonic() + 10
        while True:
            try:
                return self.qmp("device_add", **device)
            except Trouble:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def close(self):
        """Pulls the plug."""
        self.qemu.kill()
        self.qemu.wait()
        self.errors.close()
        (self.work / "qmp.sock").unlink(missing_ok=True)
