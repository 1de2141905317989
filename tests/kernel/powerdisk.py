"""A disk that loses what was not flushed when its machine's plug is pulled.

QEMU writes every request into a log (driver blklogwrites, the format of the kernel's dm-log-writes) and the disk itself
into a layer that is thrown away. Afterwards the log is laid onto the image: all of it after a shutdown. After a cut the
plug's moment is drawn from the writes since `mark`: right behind one of them, before its flush. What was flushed before it is
there, of the other writes some, as with a card that had not got round to them.
"""

import random, struct, subprocess

SECTOR = 512
FLUSH, FUA, DISCARD = 1, 2, 4


class PowerDisk:
    def __init__(self, image, seed=1):
        self.image, self.chance = image.resolve(), random.Random(seed)
        self.marked = 0
        self.layer = self.image.with_suffix(".layer")
        self.log = self.image.with_suffix(".log")

    def argv(self, device="virtio-blk-pci"):
        """What QEMU is told; the image itself is only read."""
        self.marked = 0
        self.layer.unlink(missing_ok=True)
        self.log.write_bytes(b"")
        make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self.image), "-F", "raw", str(self.layer)]
        subprocess.run(make, check=True)
        return [
            *("-blockdev", f"driver=file,node-name=layerfile,filename={self.layer}"),
            *("-blockdev", "driver=qcow2,node-name=layer,file=layerfile"),
            *("-blockdev", f"driver=file,node-name=logfile,filename={self.log}"),
            *("-blockdev", "driver=blklogwrites,node-name=disk,file=layer,log=logfile"),
            # Requests to write zeroes get no header in the log: the guest has to write them out. Merged ones can have as
            # many pieces as one system call takes; the log adds a header, and the guest is told of an I/O error.
            *("-device", f"{device},drive=disk,write-cache=on,write-zeroes=off,request-merging=off"),
        ]

    def entries(self):
        """Requests in their order: (flags, byte offset, data, or the length that was discarded)."""
        log = self.log.read_bytes()
        if not log:
            return
        magic, _, count, sector = struct.unpack_from("<QQQI", log)
        assert magic == 0x6A736677736872, "no log of writes"
        at, found = sector, 0
        while at + sector <= len(log):
            where, sectors, flags, length = struct.unpack_from("<QQQQ", log, at)
            if (where, sectors, flags, length) == (0, 0, 0, 0):
                break
            at, found = at + sector, found + 1
            if flags & DISCARD:
                yield flags, where * sector, sectors * sector
                continue
            data = log[at : at + sectors * sector]
            if len(data) < sectors * sector:
                break
            at += sectors * sector
            yield flags, where * sector, data
        # The log counts its own requests at every flush.
        assert found >= count, f"the log of writes holds {count} requests, {found} were found"

    def mark(self):
        """From here on a cut may take things back."""
        self.marked = sum(1 for _ in self.entries())

    def settle(self, cut):
        """Lays the log onto the image; tells how many writes before the plug's moment were lost."""
        entries = list(self.entries())
        if cut:
            writes = [k + 1 for k, (flags, _, data) in enumerate(entries) if k >= self.marked and data and not flags]
            entries = entries[: self.chance.choice(writes or [len(entries)])]
        # A flush makes durable what came before it.
        durable = max((k for k, (flags, *_) in enumerate(entries) if flags & FLUSH), default=-1)
        lost = 0
        with open(self.image, "r+b") as disk:
            for k, (flags, where, data) in enumerate(entries):
                if cut and k > durable and not flags & FUA and self.chance.random() < 0.5:
                    lost += bool(not flags & DISCARD and data)
                    continue
                if not flags & DISCARD and data:
                    disk.seek(where)
                    disk.write(data)
        self.layer.unlink(missing_ok=True)
        self.log.write_bytes(b"")
        return lost
