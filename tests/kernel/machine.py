"""A small emulated x86-64 machine with sound cards: what it is made of, how it boots, and how to talk to it.

The kernel is Debian's stock one, downloaded and unpacked into the work directory, never installed. The initramfs holds
busybox, the few modules needed, the programs under test with their libraries, and the two scripts in guest/. Two serial
ports lead out: the console, kept as a log, and a channel that takes one line of shell and answers with its output.
"""

import json, math, os, re, shutil, subprocess, time
from pathlib import Path

from emulator import Emulator, Trouble

HERE = Path(__file__).resolve().parent
# program that must be on the PATH -> Debian package that brings it
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "cpio": "cpio",
    "depmod": "kmod",
    "gcc": "gcc",
    "pkg-config": "pkg-config",
}
FILES = {
    "/usr/bin/busybox": "busybox-static",
    "/usr/include/alsa/asoundlib.h": "libasound2-dev",
    "/usr/share/alsa/alsa.conf": "libasound2-data",
}
# snd-dummy is paced by an hrtimer, snd-aloop by jiffies, the USB card by QEMU; snd-virmidi is a MIDI keyboard that plays
# what is written to its device; the rest is a disk
MODULES = ["snd-dummy", "snd-aloop", "snd-usb-audio", "xhci-pci", "snd-seq", "snd-virmidi", "virtio-pci", "virtio-blk"]
MODULES += ["crc32c-generic", "ext4"]


def call(*argv, **more):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise Trouble(f"`{' '.join(map(str, argv))}` failed:\n{done.stdout.strip()}")
    return done.stdout


def packages():
    """Install what is missing on this machine, and say so."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    lacking = [p for tool, p in TOOLS.items() if not shutil.which(tool)]
    lacking += [p for file, p in FILES.items() if not os.path.exists(file)]
    if not lacking:
        return
    print("installing:", " ".join(lacking), flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    install = [*sudo, *env, "apt-get", "install", "-y", "--no-install-recommends", *lacking]
    if subprocess.run(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        call(*sudo, "apt-get", "update")  # the lists may be absent or out of date
        call(*install)


def kernel(work):
    """The kernel image and the directory of its modules, fetched once."""
    home = work / "kernel"
    complete, modules = home / "complete", " ".join(MODULES)
    if not complete.exists() or complete.read_text().splitlines()[1:] != [modules]:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        found = re.findall(r"Depends: (linux-image-\S+)", call("apt-cache", "depends", "linux-image-amd64"))
        if not found:
            raise Trouble("apt knows no linux-image-amd64; run apt-get update")
        print(f"downloading {found[0]} (unpacked into {relative(home)}, not installed)", flush=True)
        call("apt-get", "download", found[0], cwd=home)
        deb = next(home.glob("*.deb"))
        call("dpkg-deb", "-x", deb, home / "all")
        deb.unlink()
        version = found[0].removeprefix("linux-image-")
        call("depmod", "-b", home / "all", version)  # the package leaves this to its postinst
        source = home / "all/lib/modules" / version
        needs = {}
        for line in (source / "modules.dep").read_text().splitlines():
            module, rest = line.split(":")
            needs[Path(module).name.split(".")[0].replace("_", "-")] = [*reversed(rest.split()), module]
        wanted = [m for name in MODULES for m in needs.get(name, [])]  # a module absent here is built in
        wanted = list(dict.fromkeys(wanted))
        for module in wanted:
            shutil.copy(source / module, home)
        (home / "order").write_text("".join(f"{Path(m).name}\n" for m in wanted))
        shutil.copy(home / f"all/boot/vmlinuz-{version}", home / "vmlinuz")
        shutil.rmtree(home / "all")
        complete.write_text(f"{version}\n{modules}\n")
    return home


def compile_helper(work, source):
    out = work / Path(source).stem
    if not out.exists() or out.stat().st_mtime < Path(source).stat().st_mtime:
        call("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", out, source, "-lasound", "-lm", "-lpthread")
    return out


def initramfs(work, programs, files):
    """programs: dynamically linked binaries for /bin; files: {path in the machine: path here}."""
    home, root = kernel(work), work / "root"
    shutil.rmtree(root, ignore_errors=True)
    for name in "bin dev etc proc sys tmp lib modules media root run".split():
        (root / name).mkdir(parents=True)
    (root / "lib64").symlink_to("lib")
    shutil.copy("/usr/bin/busybox", root / "bin/busybox")
    shutil.copy(HERE / "guest/init", root / "init")
    shutil.copy(HERE / "guest/serve", root / "bin/serve")
    for module in (home / "order").read_text().split():
        shutil.copy(home / module, root / "modules")
    shutil.copy(home / "order", root / "modules")
    libraries = set()
    for name, program in programs.items():
        # Without what is for debuggers: everything in here lies in the machine's memory.
        call("strip", "-o", root / "bin" / name, program)
        listing = call("ldd", program)
        if "not found" in listing:
            raise Trouble(f"{program} lacks libraries:\n{listing}")
        libraries |= set(re.findall(r"(/\S+) \(0x", listing))
    for library in libraries:  # each to where its loader, or the cache-less search in /lib, finds it
        shutil.copy(library, root / "lib")
    shutil.copytree("/usr/share/alsa", root / "usr/share/alsa", ignore=shutil.ignore_patterns("ucm*", "topology"))
    for inside, here in files.items():
        (root / inside.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here, root / inside.lstrip("/"))
    for script in ("init", "bin/serve"):
        (root / script).chmod(0o755)
    image = work / "initramfs"
    names = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
    call("cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-F", image, cwd=root, input=names + "\n")
    return image


def relative(path):
    return os.path.relpath(path)


class Machine(Emulator):
    USB = {"driver": "usb-audio", "id": "usb0", "audiodev": "sink", "bus": "xhci.0"}

    def __init__(self, work, image, more=()):
        self.log, self.commands = work / "guest.log", 0
        self.log.write_text("")
        (work / "channel.sock").unlink(missing_ok=True)
        home = kernel(work)
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-m", "512"]
        # The machine's time is the number of instructions it has run (4 ns each: 250 million a second), and when it idles
        # it skips to the next timer. So a busy host makes the run longer, never the sound worse: nothing in here is
        # late but by its own fault. With the host's time, in KVM or without icount, the USB card slips under load.
        argv += ["-smp", "1", "-cpu", "max", "-accel", "tcg,thread=single", "-icount", "shift=2,sleep=off"]
        argv += ["-kernel", str(home.resolve() / "vmlinuz"), "-initrd", str(image.resolve())]
        argv += ["-append", "console=ttyS0 quiet loglevel=6 panic=-1 mitigations=off random.trust_cpu=on"]
        argv += ["-serial", "file:guest.log", "-serial", "unix:channel.sock,server=on,wait=off"]
        argv += ["-device", "qemu-xhci,id=xhci", "-audiodev", "none,id=sink"]
        argv += ["-device", json.dumps(self.USB), *more]
        super().__init__(work, argv)
        try:
            self.channel = self.connect("channel.sock")
            self.buffer = b""
            self._until(b"@@ready", 120)
        except BaseException:
            self.close()
            raise

    def _until(self, mark, seconds):
        """Everything before the line that starts with `mark`, and that line."""
        end = time.monotonic() + seconds
        while True:
            lines = self.buffer.split(b"\n")
            for i, line in enumerate(lines[:-1]):
                if line.startswith(mark):
                    self.buffer = b"\n".join(lines[i + 1 :])
                    return b"\n".join(lines[:i]).decode(errors="replace"), line.decode()
            left = end - time.monotonic()
            if left <= 0:
                raise Trouble(f"the machine was silent for {seconds:.0f} s ({mark.decode()})")
            self.channel.settimeout(left)
            try:
                got = self.channel.recv(65536)
            except TimeoutError:
                continue
            if not got:
                raise Trouble("QEMU went away")
            self.buffer += got.replace(b"\r", b"")

    def try_sh(self, line, seconds=30):
        """Run one line of shell inside; (exit code, output). Something that hangs is killed inside after `seconds`."""
        assert "\n" not in line
        self.commands += 1
        self.channel.sendall(f"{self.commands} {seconds} {line}\n".encode())
        out, end = self._until(b"@@%d " % self.commands, seconds + 20)
        return int(end.split()[1]), out

    def sh(self, line, seconds=30):
        code, out = self.try_sh(line, seconds)
        if code:
            raise Trouble(f"`{line}` gave {code} in the machine: {out.strip()[-600:]}")
        return out.strip()

    def sleep(self, seconds):
        """In the machine's time: the host's has nothing to do with it."""
        self.sh(f"sleep {seconds}", math.ceil(seconds) + 5)

    def uptime(self):
        return float(self.sh("cat /proc/uptime").split()[0])

    def plug(self):
        self.add(self.USB)

    def unplug(self):
        self.qmp("device_del", id=self.USB["id"])

    def close(self):
        super().close()
        (self.work / "channel.sock").unlink(missing_ok=True)
