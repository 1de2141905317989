//! Runs of packets in fragmented MP4 files (the box `trun`, ISO/IEC 14496-12, 8.8.8).

use super::bytes::be32;

/// Maximum number of packets in a track: four days.
pub(super) const MOST_PACKETS: usize = 1 << 24;

/// Parser state of a run of packets in a fragment.
pub(super) struct Trun {
    /// Offset and time of the next packet.
    pub next: u64,
    pub time: i64,
    /// Defaults for packets without their own size and duration.
    pub size: u32,
    pub duration: i64,
    pub packets: Vec<u32>,
}

impl Trun {
    /// Parses a box; `length` is the size of the file.
    pub fn read(&mut self, row: &[u8], base: u64, length: u64) {
        let (flags, count) = (be32(row, 0) & 0xff_ffff, be32(row, 4) as usize);
        let mut at = 8;
        if flags & 1 != 0 {
            self.next = base.saturating_add_signed(i64::from(be32(row, at) as i32));
            at += 4;
        }
        at += if flags & 4 != 0 { 4 } else { 0 };
        let each = 4 * [0x100, 0x200, 0x400, 0x800].iter().filter(|bit| flags & **bit != 0).count();
        // If packets have no fields, their number is limited by what fits into the file.
        let there = match each {
            0 => length.checked_div(self.size.into()).unwrap_or(0) as usize,
            each => row.len().saturating_sub(at) / each,
        };
        for _ in 0..count.min(there).min(MOST_PACKETS) {
            let mut field = |bit: u32| {
                (flags & bit != 0).then(|| {
                    at += 4;
                    be32(row, at - 4)
                })
            };
            let duration = field(0x100).map_or(self.duration, i64::from);
            let size = field(0x200).unwrap_or(self.size);
            field(0x400);
            field(0x800);
            self.packets.push(size);
            self.time = self.time.saturating_add(duration);
            self.next = self.next.saturating_add(u64::from(size));
        }
    }
}
