"""Runs the appliance in an emulated arm64 machine: its own kernel and partitions, an onboard sound card and a USB one.

All access is the same as a user's: files on the FAT partition (mtools), SSH with a key from there, OSC and HTTP over the
network. The cards' output is recorded to WAV files.
"""

import json, os, re, shutil, socket, struct, subprocess, sys, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/kernel"))
from emulator import Emulator, Trouble
from powerdisk import PowerDisk

OSC, HTTP, SSH = 57220, 18080, 12222  # on this machine
USB = {"driver": "usb-audio", "id": "usb0", "audiodev": "usb", "bus": "xhci.0"}
# The machine's clock counts its instructions, 2 ns each: a busy host makes the run longer, but causes no underruns. The
# clock never runs ahead of the host's, so that network timeouts remain valid.
CLOCK = "shift=1,sleep=on"


def call(*argv, **more):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise Trouble(f"`{' '.join(map(str, argv))}` failed:\n{done.stdout.strip()}")
    return done.stdout


class Disk(PowerDisk):
    """A copy of the image on an SD card of the given size."""

    def __init__(self, image, work, megabytes, seed=1):
        card = work / "card.img"
        call("cp", "--sparse=always", image, card)
        os.truncate(card, megabytes << 20)
        super().__init__(card, seed)
        self.fat = f"{card}@@{self.parts()[0][0] * 512}"

    def parts(self):
        """Start and length of the partitions in sectors, from the partition table; the last one grows."""
        table = self.image.open("rb").read(512)[446:510]
        return [struct.unpack_from("<II", table, 16 * k + 8) for k in range(3)]

    # Access to the FAT partition, only while the machine is off.

    def put(self, name, content):
        file = self.image.with_suffix(".put")
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        call("mcopy", "-o", "-i", self.fat, file, f"::grooved/{name}")

    def get(self, name):
        done = subprocess.run(["mtype", "-i", self.fat, f"::grooved/{name}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.decode(errors="replace")

    def drop(self, name):
        subprocess.run(["mdel", "-i", self.fat, f"::grooved/{name}"], stderr=subprocess.DEVNULL)

    def names(self, folder):
        listing = subprocess.run(["mdir", "-b", "-i", self.fat, f"::grooved/{folder}"], stdout=subprocess.PIPE, text=True)
        return [line.rsplit("/", 1)[1] for line in listing.stdout.splitlines()]

    def copy_out(self, name, to):
        call("mcopy", "-o", "-i", self.fat, f"::{name}", to)

    def check(self, number, seconds=60):
        """Returns fsck's errors for a partition after journal replay, one per line; empty if there are none."""
        start, size = self.parts()[number]
        part = self.image.with_suffix(".part")
        with open(self.image, "rb") as disk, open(part, "wb") as out:
            disk.seek(start * 512)
            shutil.copyfileobj(_Limited(disk, size * 512), out, 1 << 20)
        if number == 0:
            done = subprocess.run(["fsck.vfat", "-n", str(part)], stdout=subprocess.PIPE, text=True)
            return done.stdout.strip() if done.returncode else ""
        subprocess.run(["e2fsck", "-p", "-E", "journal_only", str(part)], stdout=subprocess.DEVNULL)
        done = subprocess.run(["e2fsck", "-fn", str(part)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        part.unlink()
        return done.stdout.strip() if done.returncode else ""


class _Limited:
    def __init__(self, file, left):
        self.file, self.left = file, left

    def read(self, n):
        got = self.file.read(min(n, self.left))
        self.left -= len(got)
        return got


class Appliance(Emulator):
    def __init__(self, disk, work, key, cards=True):
        self.disk, self.key, self.booted = disk, key, time.monotonic()
        for name in ("vmlinuz", "initrd.img", "cmdline.txt"):
            if not (work / name).exists():
                self._boot_file(name, work)
        # The image's command line, with a console that can be recorded.
        line = (work / "cmdline.txt").read_text().split()
        line = [w for w in line if not w.startswith("console=")] + ["console=ttyAMA0", "loglevel=5", "panic=-1"]
        argv = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "1", "-m", "1024"]
        argv += ["-accel", "tcg,thread=single", "-icount", CLOCK, "-nodefaults", "-display", "none", "-no-reboot"]
        argv += ["-kernel", "vmlinuz", "-initrd", "initrd.img", "-append", " ".join(line)]
        argv += disk.argv()
        argv += ["-serial", "file:console.log", "-device", "virtio-rng-pci"]
        ports = f"hostfwd=udp:127.0.0.1:{OSC}-:57120,hostfwd=tcp:127.0.0.1:{HTTP}-:8080,hostfwd=tcp:127.0.0.1:{SSH}-:22"
        argv += ["-netdev", f"user,id=net,{ports}", "-device", "virtio-net-pci,netdev=net,romfile="]
        argv += ["-audiodev", "wav,id=usb,path=usb.wav,out.frequency=48000", "-device", "qemu-xhci,id=xhci"]
        if cards:
            argv += ["-device", json.dumps(USB), "-audiodev", "wav,id=hda,path=hda.wav,out.frequency=48000"]
            argv += ["-device", "ich9-intel-hda", "-device", "hda-output,audiodev=hda"]
        self.osc = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        super().__init__(work, argv)

    def _boot_file(self, name, work):
        """Copies the kernel or initramfs from where the Pi's firmware finds it."""
        listing = call("mdir", "-b", "-i", self.disk.fat, "::")
        stem = name.split(".")[0]
        found = next(line.strip() for line in listing.splitlines() if stem in line)
        call("mcopy", "-o", "-i", self.disk.fat, found.rstrip("/"), work / name)

    def try_ssh(self, line, seconds=120):
        options = ["-i", self.key, "-p", str(SSH), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        options += ["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60", "-o", "BatchMode=yes"]
        options += ["-o", "ControlMaster=auto", "-o", f"ControlPath=/tmp/grooved-ssh-{os.getpid()}", "-o", "ControlPersist=yes"]
        argv = ["ssh", *options, "root@127.0.0.1", line]
        try:
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return 124, ""
        return done.returncode, done.stdout

    def ssh(self, line, seconds=120):
        code, out = self.try_ssh(line, seconds)
        if code:
            raise Trouble(f"`{line}` returned {code} in the machine: {out.strip()[-600:]}")
        return out.strip()

    def wait_ssh(self, seconds=700):
        end = time.monotonic() + seconds
        # A connection attempt made before the machine listens is never answered, so use many short attempts.
        while self.try_ssh("true", 45)[0]:
            if time.monotonic() > end or self.qemu.poll() is not None:
                tail = (self.work / "console.log").read_text(errors="replace")[-1500:]
                raise Trouble(f"no SSH within {seconds} s; end of the console log:\n{tail}")
            time.sleep(2)

    def wait(self, line, seconds=240, pause=2):
        """Repeats a command in the machine until it succeeds; returns its last output."""
        end = time.monotonic() + seconds
        while True:
            code, out = self.try_ssh(line)
            if code == 0:
                return out.strip()
            if time.monotonic() > end:
                raise Trouble(f"`{line}` did not succeed within {seconds} s: {out.strip()[-400:]}")
            time.sleep(pause)

    def send(self, address, *args):
        """Sends an OSC message from outside the machine."""
        pad = lambda b: b + b"\0" * (4 - len(b) % 4)
        tags, data = ",", b""
        for arg in args:
            tag, part = ("s", pad(arg.encode())) if isinstance(arg, str) else ("i", struct.pack(">i", arg)) if isinstance(arg, int) else ("f", struct.pack(">f", arg))
            tags, data = tags + tag, data + part
        self.osc.sendto(pad(address.encode()) + pad(tags.encode()) + data, ("127.0.0.1", OSC))

    def status(self):
        out = self.ssh("groovectl status --json")
        return json.loads(re.search(r"^\{.*\}$", out, re.M)[0])

    def unplug(self):
        self.qmp("device_del", id=USB["id"])

    def plug(self):
        self.add(USB)

    def _leave(self):
        subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath=/tmp/grooved-ssh-{os.getpid()}", "x"], stderr=subprocess.DEVNULL)

    def pull(self):
        """Cuts the power without warning. Returns the number of lost writes."""
        super().close()
        self._leave()
        return self.disk.settle(cut=True)

    def shut_down(self, seconds=240):
        self.try_ssh("systemctl poweroff", 30)
        self.ended(seconds)

    def ended(self, seconds=240):
        """Waits until the machine has shut down."""
        try:
            self.qemu.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Trouble("the machine does not shut down: " + (self.work / "console.log").read_text(errors="replace")[-800:]) from None
        super().close()
        self._leave()
        self.disk.settle(cut=False)
