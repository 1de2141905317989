"""A disk that loses what was not flushed when its machine's plug is pulled.

QEMU writes every request into a log (driver blklogwrites, the format of the kernel's dm-log-writes) and the disk itself
into a layer that is thrown away. Afterwards the log is laid onto the image: all of it after a shutdown; after a cut all
up to the last flush, and of the later writes some, as a card does that had not got round to them.
"""

import random, struct, subprocess

SECTOR = 512
FLUSH, FUA, DISCARD = 1, 2, 4


class PowerDisk:
    def __init__(self, image, seed=1):
        self.image, self.chance = image.resolve(), random.Random(seed)
        self.layer = self.image.with_suffix(".layer")
        self.log = self.image.with_suffix(".log")

    def argv(self, device="virtio-blk-pci"):
        """What QEMU is told; the image itself is only read."""
        self.layer.unlink(missing_ok=True)
        self.log.write_bytes(b"")
        make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self.image), "-F", "raw", str(self.layer)]
        subprocess.run(make, check=True)
        return [
            *("-blockdev", f"driver=file,node-name=layerfile,filename={self.layer}"),
            *("-blockdev", "driver=qcow2,node-name=layer,file=layerfile"),
            *("-blockdev", f"driver=file,node-name=logfile,filename={self.log}"),
            *("-blockdev", "driver=blklogwrites,node-name=disk,file=layer,log=logfile"),
            *("-device", f"{device},drive=disk,write-cache=on"),
        ]

    def entries(self):
        """Requests in their order: (flags, byte offset, data, or the length that was discarded)."""
        log = self.log.read_bytes()
        if not log:
            return
        magic, _, count, sector = struct.unpack_from("<QQQI", log)
        assert magic == 0x6A736677736872, "no log of writes"
        at = sector
        while at + sector <= len(log):
            where, sectors, flags, length = struct.unpack_from("<QQQQ", log, at)
            if (where, sectors, flags, length) == (0, 0, 0, 0):
                break
            at += sector
            if flags & DISCARD:
                yield flags, where * sector, sectors * sector
                continue
            data = log[at : at + sectors * sector]
            if len(data) < sectors * sector:
                break
            at += sectors * sector
            yield flags, where * sector, data

    def settle(self, cut):
        """Lays the log onto the image; tells how many writes were lost."""
        entries = list(self.entries())
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
