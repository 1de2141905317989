//! MP4 and QuickTime files, regular and fragmented (ISO/IEC 14496-12).
//!
//! All packets of a track are counted, including those in fragments, but not those beyond the end of the file. Edit
//! lists define what is played: encoders put 1024 or more frames before the sound, which Symphonia's reader plays as
//! well, because it parses edit lists without applying them (github.com/pdeljanov/Symphonia, #544).

use std::io;
use std::sync::Arc;

use super::boxes::{Atom, contents, find, within};
use super::bytes::{Bytes, be16, be32, be64};
use super::entry::{self, Entry, Timing};
use super::error::DecodeError;
use super::flac;
use super::plan::{Edit, Layout, MOST_FRAMES, Packet, Packets, Plan, Remark, seconds};
use super::trun::{MOST_PACKETS, Trun};
use crate::media::file::MediaFile;

/// Maximum size of a packet in bytes.
const MOST_PACKET: u32 = 4 << 20;
/// Bytes of PCM read as one packet.
const PLAIN: u64 = 16 * 1024;
/// Maximum size of an index table in bytes: a day of packets.
const MOST_TABLE: usize = 64 << 20;
/// Packets decoded before the target: windows overlap, and MP3 refers to up to nine previous packets.
const RUN_UP: u64 = 12;
/// Usual encoder delays in frames: ffmpeg's and most others', twice that, Apple's, Nero's.
const USUAL_DELAYS: [i64; 4] = [1_024, 2_048, 2_112, 2_624];

/// A run of contiguous packets.
#[derive(Debug)]
struct Run {
    /// Number of the first packet.
    first: u64,
    /// Its position in frames of the media.
    at: i64,
    /// Its offset in the file.
    offset: u64,
    /// Index of its sample entry.
    entry: usize,
}

/// Sizes of the packets in bytes.
#[derive(Debug)]
enum Sizes {
    All(u32),
    Each(Vec<u32>),
}

impl Sizes {
    fn get(&self, packet: u64) -> u32 {
        match self {
            Sizes::All(size) => *size,
            Sizes::Each(sizes) => sizes.get(packet as usize).copied().unwrap_or(0),
        }
    }

    /// Total size of the packets `from` to `to` (exclusive).
    fn sum(&self, from: u64, to: u64) -> u64 {
        match self {
            Sizes::All(size) => u64::from(*size) * to.saturating_sub(from),
            Sizes::Each(sizes) => {
                let range = (from as usize).min(sizes.len())..(to as usize).min(sizes.len());
                sizes.get(range).unwrap_or_default().iter().map(|size| u64::from(*size)).sum()
            }
        }
    }
}

/// Layout of a track.
#[derive(Debug)]
pub(super) struct Mp4 {
    runs: Vec<Run>,
    sizes: Sizes,
    /// Number of packets present in the file.
    packets: u64,
    timing: Timing,
    /// Index of the first decoder setup of each sample entry.
    entries: Vec<usize>,
    /// Offset to be added to the positions in FLAC headers.
    shift: i64,
    /// Frames per FLAC block.
    block: u64,
}

/// The properties of an audio track that regular and fragmented files have in common.
struct Track {
    id: u32,
    enabled: bool,
    scale: u32,
    atom: Atom,
    table: Atom,
}

/// The index of the file (`moov`) and its audio tracks.
struct Index {
    moov: Atom,
    /// Time units per second of the durations in edit lists.
    scale: u32,
    tracks: Vec<Track>,
    top: Vec<Atom>,
}

/// Parses the index.
fn index(bytes: &mut Bytes, at: u64) -> Result<Index, DecodeError> {
    let top = within(bytes, at, bytes.len())?;
    let moov = top.iter().find(|atom| atom.kind == *b"moov").copied().ok_or_else(|| {
        DecodeError::Damaged("it ends before its index (the 'moov' box): the file is incomplete".into())
    })?;
    let mut scale = 1_000;
    if let Some(mvhd) = find(bytes, &moov, &[b"mvhd"])? {
        let head = contents(bytes, &mvhd, 32)?;
        scale = be32(&head, if head.first() == Some(&1) { 20 } else { 12 }).max(1);
    }
    let mut tracks = Vec::new();
    for trak in within(bytes, moov.from, moov.to)?.into_iter().filter(|atom| atom.kind == *b"trak") {
        let Some(handler) = find(bytes, &trak, &[b"mdia", b"hdlr"])? else { continue };
        let Some(table) = find(bytes, &trak, &[b"mdia", b"minf", b"stbl"])? else { continue };
        if contents(bytes, &handler, 12)?.get(8..) != Some(b"soun") {
            continue;
        }
        let (mut id, mut enabled, mut scale) = (0, true, 0);
        if let Some(tkhd) = find(bytes, &trak, &[b"tkhd"])? {
            let head = contents(bytes, &tkhd, 32)?;
            enabled = be32(&head, 0) & 1 != 0;
            id = be32(&head, if head.first() == Some(&1) { 20 } else { 12 });
        }
        if let Some(mdhd) = find(bytes, &trak, &[b"mdia", b"mdhd"])? {
            let head = contents(bytes, &mdhd, 32)?;
            scale = be32(&head, if head.first() == Some(&1) { 20 } else { 12 });
        }
        tracks.push(Track { id, enabled, scale: scale.max(1), atom: trak, table });
    }
    Ok(Index { moov, scale, tracks, top })
}

/// Returns the number of audio tracks.
///
/// # Errors
/// If the file cannot be read or has no index.
pub(super) fn tracks(bytes: &mut Bytes, at: u64) -> Result<usize, DecodeError> {
    Ok(index(bytes, at)?.tracks.len())
}

/// Returns the JSON manifest of a Native Instruments stem file, if there is one.
///
/// # Errors
/// If the file cannot be read or has no index.
pub(super) fn manifest(bytes: &mut Bytes, at: u64) -> Result<Option<Vec<u8>>, DecodeError> {
    let moov = index(bytes, at)?.moov;
    match find(bytes, &moov, &[b"udta", b"stem"])? {
        Some(stem) => Ok(Some(contents(bytes, &stem, 1 << 20)?)),
        None => Ok(None),
    }
}

/// The packets found, with times in units of the track's time scale.
struct Found {
    /// The runs: (packet, time, offset, sample entry).
    runs: Vec<(u64, i64, u64, usize)>,
    sizes: Sizes,
    packets: u64,
    /// Time at the end of the last packet.
    end: i64,
    /// Number of packets in the index.
    promised: u64,
}

/// Builds the plan for an audio track: the `chosen` one, or the first that is enabled and can be decoded.
///
/// # Errors
/// If the file cannot be read, has no such track, or its codec is not supported.
pub(super) fn open(bytes: &mut Bytes, at: u64, chosen: Option<usize>) -> Result<Plan, DecodeError> {
    let index = index(bytes, at)?;
    if let Some(chosen) = chosen {
        let count = index.tracks.len();
        let track = index.tracks.get(chosen).ok_or_else(|| {
            DecodeError::Unsupported(format!("it has {count} audio tracks, so there is no track {}", chosen + 1))
        })?;
        return lay_out(bytes, &index, track);
    }
    let mut why = None;
    let (on, off): (Vec<&Track>, Vec<&Track>) = index.tracks.iter().partition(|track| track.enabled);
    for track in on.into_iter().chain(off) {
        match lay_out(bytes, &index, track) {
            Err(DecodeError::Io(error)) => return Err(error.into()),
            Err(error) => {
                why.get_or_insert(error);
            }
            plan => return plan,
        }
    }
    Err(why.unwrap_or_else(|| DecodeError::Unsupported("it has no audio track".into())))
}

fn lay_out(bytes: &mut Bytes, index: &Index, track: &Track) -> Result<Plan, DecodeError> {
    let mut found = table(bytes, track)?;
    fragments(bytes, index, track, &mut found)?;
    found.keep_what_is_there(bytes.len());
    if found.packets == 0 {
        let why = if found.promised > 0 { "it ends before its sound" } else { "it contains no sound" };
        return Err(DecodeError::Unsupported(why.into()));
    }
    let mut first = Vec::new();
    let (offset, size) = (found.runs[0].2, found.sizes.get(0).min(MOST_PACKET));
    bytes.read(offset, size as usize, &mut first)?;
    let stsd = find(bytes, &track.table, &[b"stsd"])?
        .ok_or_else(|| DecodeError::Damaged("its sample description is missing".into()))?;
    let mut entries: Vec<Entry> = Vec::new();
    for atom in within(bytes, stsd.from + 8, stsd.to)?.into_iter().take(64) {
        entries.push(entry::read(bytes, &atom, &first, track.scale)?);
    }
    let Some(entry) = entries.first() else {
        return Err(DecodeError::Damaged("its sample description is missing".into()));
    };
    let rate = entry.setups[0].rate;
    let timing = found.refine(entry.timing, bytes.len());
    let mut remarks: Vec<Remark> = entries.iter().filter_map(|entry| entry.remark.clone()).collect();
    // All entries share one timeline, which needs one way of counting; tracks that mix codecs do not occur in practice.
    let same = |other: &Entry| std::mem::discriminant(&other.timing) == std::mem::discriminant(&entry.timing);
    if !entries.iter().all(same) {
        return Err(DecodeError::Unsupported("its packets use different kinds of codecs".into()));
    }
    let (mut setups, mut firsts) = (Vec::new(), Vec::new());
    for entry in entries {
        firsts.push(setups.len());
        setups.extend(entry.setups);
    }
    let mut mp4 = found.mp4(bytes, timing, firsts, rate, track.scale)?;
    let end = mp4.end(bytes)?;
    if end <= 0 || end as u64 > MOST_FRAMES {
        return Err(DecodeError::Damaged(format!("its packets claim an implausible length of {end} frames")));
    }
    if found.promised > found.packets {
        let each = end as f64 / found.packets as f64;
        let (lacking, all) = ((found.promised - found.packets) as f64 * each, found.promised as f64 * each);
        let text =
            format!("{} of its {} are missing at the end", seconds(lacking as u64, rate), seconds(all as u64, rate));
        remarks.push(Remark::loss(text));
    }
    // The index gives the true length if the last packet is not full.
    let counted = scaled(found.end, rate, track.scale);
    let fine = track.scale.is_multiple_of(rate) && found.promised == found.packets;
    let stop = if fine && counted > 0 && counted < end { counted } else { end };
    let edits = edits(bytes, index, track, rate, end, stop)?;
    mp4.entries.truncate(64);
    let plan = Plan { rate, setups, edits, layout: Arc::new(mp4), remarks };
    match plan.frames() {
        0 => Err(DecodeError::Unsupported("it contains no sound".into())),
        _ => Ok(plan),
    }
}

/// Converts a time to frames, rounded.
fn scaled(time: i64, rate: u32, scale: u32) -> i64 {
    let (rate, scale) = (i128::from(rate), i128::from(scale.max(1)));
    ((i128::from(time) * rate * 2 + scale).div_euclid(2 * scale)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Reads an index table: the rows of `each` bytes after version, flags, `skip` bytes and the count.
fn rows(bytes: &mut Bytes, table: &Atom, kind: &[u8; 4], skip: usize, each: usize) -> io::Result<Option<Vec<u8>>> {
    let Some(atom) = find(bytes, table, &[kind])? else { return Ok(None) };
    let all = contents(bytes, &atom, MOST_TABLE)?;
    let count = be32(&all, skip) as usize;
    let rows = all.get(skip + 4..).unwrap_or_default();
    let length = count.saturating_mul(each).min(rows.len() / each * each);
    Ok(Some(rows[..length].to_vec()))
}

/// Reads the packets listed in the index.
fn table(bytes: &mut Bytes, track: &Track) -> io::Result<Found> {
    let t = &track.table;
    let (sizes, mut count) = match find(bytes, t, &[b"stsz"])? {
        Some(atom) => {
            let head = contents(bytes, &atom, 12)?;
            match be32(&head, 4) {
                0 => {
                    let rows = rows(bytes, t, b"stsz", 8, 4)?.unwrap_or_default();
                    let sizes: Vec<u32> = rows.chunks_exact(4).map(|row| be32(row, 0)).collect();
                    let count = sizes.len() as u64;
                    (Sizes::Each(sizes), count)
                }
                size => (Sizes::All(size), u64::from(be32(&head, 8))),
            }
        }
        None => match find(bytes, t, &[b"stz2"])? {
            Some(atom) => {
                let all = contents(bytes, &atom, MOST_TABLE)?;
                let (bits, count) = (all.get(7).copied().unwrap_or(8), be32(&all, 8) as usize);
                let rows = all.get(12..).unwrap_or_default();
                let sizes: Vec<u32> = match bits {
                    4 => rows.iter().flat_map(|b| [u32::from(b >> 4), u32::from(b & 15)]).take(count).collect(),
                    16 => rows.chunks_exact(2).map(|row| u32::from(be16(row, 0))).take(count).collect(),
                    _ => rows.iter().map(|b| u32::from(*b)).take(count).collect(),
                };
                let count = sizes.len() as u64;
                (Sizes::Each(sizes), count)
            }
            None => (Sizes::Each(Vec::new()), 0),
        },
    };
    let chunks: Vec<u64> = match rows(bytes, t, b"stco", 4, 4)? {
        Some(rows) => rows.chunks_exact(4).map(|row| u64::from(be32(row, 0))).collect(),
        None => rows(bytes, t, b"co64", 4, 8)?.unwrap_or_default().chunks_exact(8).map(|row| be64(row, 0)).collect(),
    };
    let shares: Vec<(u64, u64, usize)> = rows(bytes, t, b"stsc", 4, 12)?
        .unwrap_or_default()
        .chunks_exact(12)
        .map(|row| (u64::from(be32(row, 0)), u64::from(be32(row, 4)), be32(row, 8) as usize))
        .collect();
    let times: Vec<(u64, i64)> = rows(bytes, t, b"stts", 4, 8)?
        .unwrap_or_default()
        .chunks_exact(8)
        // Some muxers write a negative duration where time stamps go back.
        .map(|row| (u64::from(be32(row, 0)), i64::from((be32(row, 4) as i32).max(0))))
        .collect();
    let mut runs = Vec::with_capacity(chunks.len());
    let (mut packet, mut share) = (0, 0);
    // State of the time table: the current row, and the packet and time at its start.
    let (mut row, mut row_packet, mut row_time) = (0, 0u64, 0i64);
    for (number, offset) in (1u64..).zip(&chunks) {
        while shares.get(share + 1).is_some_and(|next| next.0 <= number) {
            share += 1;
        }
        let Some((_, per, entry)) = shares.get(share) else { break };
        while let Some((n, each)) = times.get(row).filter(|(n, _)| row_packet + n <= packet) {
            row_packet += n;
            row_time += *n as i64 * each;
            row += 1;
        }
        let each = times.get(row).or(times.last()).map_or(0, |time| time.1);
        let time = row_time.saturating_add((packet - row_packet) as i64 * each);
        if *per > 0 && packet < count {
            runs.push((packet, time, *offset, entry.saturating_sub(1)));
        }
        packet = packet.saturating_add(*per);
    }
    count = count.min(packet);
    let end = times.iter().fold(0i64, |sum, (n, each)| sum.saturating_add((*n as i64).saturating_mul(*each)));
    Ok(Found { runs, sizes, packets: count, end, promised: count })
}

/// Adds the packets of all fragments.
fn fragments(bytes: &mut Bytes, index: &Index, track: &Track, found: &mut Found) -> io::Result<()> {
    let mut defaults = [1, 0, 0];
    if let Some(mvex) = find(bytes, &index.moov, &[b"mvex"])? {
        for trex in within(bytes, mvex.from, mvex.to)?.into_iter().filter(|atom| atom.kind == *b"trex") {
            let row = contents(bytes, &trex, 24)?;
            if be32(&row, 4) == track.id {
                defaults = [be32(&row, 8), be32(&row, 12), be32(&row, 16)];
            }
        }
    }
    let mut time = found.end;
    for moof in index.top.iter().filter(|atom| atom.kind == *b"moof") {
        let mut behind = moof.at;
        for traf in within(bytes, moof.from, moof.to)?.into_iter().filter(|atom| atom.kind == *b"traf") {
            let atoms = within(bytes, traf.from, traf.to)?;
            let Some(tfhd) = atoms.iter().find(|atom| atom.kind == *b"tfhd") else { continue };
            let head = contents(bytes, tfhd, 40)?;
            let flags = be32(&head, 0);
            let mut at = 8;
            let mut field = |bit: u32, size: usize| {
                (flags & bit != 0).then(|| {
                    at += size;
                    if size == 8 { be64(&head, at - 8) } else { u64::from(be32(&head, at - 4)) }
                })
            };
            let base = field(1, 8).unwrap_or(if flags & 0x2_0000 != 0 { moof.at } else { behind });
            let entry = field(2, 4).unwrap_or(defaults[0].into()).saturating_sub(1) as usize;
            let duration = field(8, 4).unwrap_or(defaults[1].into());
            let size = field(0x10, 4).unwrap_or(defaults[2].into()) as u32;
            let mine = be32(&head, 4) == track.id;
            if let Some(tfdt) = atoms.iter().find(|atom| atom.kind == *b"tfdt").filter(|_| mine) {
                let row = contents(bytes, tfdt, 12)?;
                time = if row.first() == Some(&1) { be64(&row, 4) as i64 } else { i64::from(be32(&row, 4)) };
            }
            let mut next = base;
            for trun in atoms.iter().filter(|atom| atom.kind == *b"trun") {
                let mut run = Trun { next, time, size, duration: duration as i64, packets: Vec::new() };
                let row = contents(bytes, trun, MOST_TABLE)?;
                run.read(&row, base, bytes.len());
                next = run.next;
                if mine {
                    let start = run.next - run.packets.iter().map(|size| u64::from(*size)).sum::<u64>();
                    found.runs.push((found.packets, time, start, entry));
                    found.add(&run.packets);
                    time = run.time;
                    found.end = time;
                }
            }
            behind = next;
        }
    }
    Ok(())
}

impl Found {
    /// Appends packets.
    fn add(&mut self, sizes: &[u32]) {
        let all = match &mut self.sizes {
            Sizes::Each(all) => all,
            Sizes::All(size) => {
                let all = vec![*size; self.packets.min(1 << 24) as usize];
                self.sizes = Sizes::Each(all);
                return self.add(sizes);
            }
        };
        all.truncate(self.packets as usize);
        all.extend(sizes.iter().take(MOST_PACKETS.saturating_sub(all.len())));
        self.packets = all.len() as u64;
        self.promised = self.packets;
    }

    /// Drops the packets from the first one on that is not completely in the file.
    fn keep_what_is_there(&mut self, length: u64) {
        let mut kept = 0;
        for (k, (first, _, offset, _)) in self.runs.iter().enumerate() {
            let to = self.runs.get(k + 1).map_or(self.packets, |next| next.0).min(self.packets);
            let room = length.saturating_sub(*offset);
            let fits = match &self.sizes {
                Sizes::All(size) => (room / u64::from((*size).max(1))).min(to.saturating_sub(*first)),
                Sizes::Each(sizes) => {
                    let sizes = sizes.get(*first as usize..to as usize).unwrap_or_default();
                    let mut used = 0u64;
                    sizes
                        .iter()
                        .take_while(|size| {
                            used += u64::from(**size);
                            used <= room
                        })
                        .count() as u64
                }
            };
            kept = first + fits;
            if kept < to {
                break;
            }
        }
        self.packets = self.packets.min(kept);
        self.runs.retain(|run| run.0 < kept);
    }

    /// For PCM, corrects the meaning of a packet: one frame, whatever old files give as its size, or several.
    fn refine(&mut self, timing: Timing, length: u64) -> Timing {
        let Timing::Frames(bytes) = timing else { return timing };
        let size = self.sizes.get(0);
        if size > bytes && size.is_multiple_of(bytes) {
            return Timing::Packets(size / bytes);
        }
        self.sizes = Sizes::All(bytes);
        self.keep_what_is_there(length);
        timing
    }

    /// Builds the layout, with positions in frames.
    fn mp4(
        &self,
        bytes: &mut Bytes,
        timing: Timing,
        entries: Vec<usize>,
        rate: u32,
        scale: u32,
    ) -> Result<Mp4, DecodeError> {
        let per = match timing {
            Timing::Packets(frames) => i64::from(frames),
            Timing::Frames(_) => 1,
            Timing::Flac(_) => 0,
        };
        // The first packet is at 0, whatever its time stamp: a fragmented file may be part of a longer stream.
        let begin = self.runs[0].1;
        // Lead of the time stamps over the frames counted. Time stamps are rounded, so only steps of half a packet mean
        // that something is missing.
        let mut ahead = 0;
        let runs = self.runs.iter().map(|(first, time, offset, entry)| {
            let stamp = scaled(time - begin, rate, scale);
            let counted = (*first as i64).saturating_mul(per);
            let step = stamp.saturating_sub(counted) - ahead;
            // Never backwards: packets overlap where a muxer counted wrongly.
            if per > 1 && step > (per / 2).max(i64::from(2 * rate / scale)) {
                ahead += step;
            }
            let at = if per == 0 { stamp } else { counted + ahead };
            Run { first: *first, at, offset: *offset, entry: (*entry).min(entries.len() - 1) }
        });
        let mut runs: Vec<Run> = runs.collect();
        // Implausible times belong to another recording, or are wrong.
        if runs.last().is_some_and(|run| run.at as u64 > MOST_FRAMES) {
            runs.iter_mut().for_each(|run| run.at = (run.first as i64).saturating_mul(per));
        }
        let sizes = match timing {
            Timing::Frames(bytes) => Sizes::All(bytes),
            _ => match &self.sizes {
                Sizes::All(size) => Sizes::All(*size),
                Sizes::Each(sizes) => Sizes::Each(sizes.iter().take(self.packets as usize).copied().collect()),
            },
        };
        let mut mp4 = Mp4 { runs, sizes, packets: self.packets, timing, entries, shift: 0, block: 0 };
        if let Timing::Flac(info) = timing {
            let head = mp4.flac(bytes, &info, 0)?;
            let head = head.ok_or_else(|| DecodeError::Damaged("its first FLAC frame is corrupt".into()))?;
            mp4.block = u64::from(head.block);
            mp4.shift = -(flac::place(&head, mp4.block) as i64);
        }
        Ok(mp4)
    }
}

impl Mp4 {
    /// Index of the run that contains a packet.
    fn run(&self, packet: u64) -> usize {
        self.runs.partition_point(|run| run.first <= packet).saturating_sub(1)
    }

    /// Offset of a packet in the file.
    fn offset(&self, packet: u64) -> u64 {
        let run = &self.runs[self.run(packet)];
        run.offset.saturating_add(self.sizes.sum(run.first, packet))
    }

    /// Header of a FLAC packet.
    fn flac(&self, bytes: &mut Bytes, info: &flac::Info, packet: u64) -> io::Result<Option<flac::Head>> {
        let length = (self.sizes.get(packet) as usize).min(flac::HEADER);
        Ok(flac::parse(bytes.peek(self.offset(packet), length)?, info))
    }

    /// Position at the end of the last packet, in frames.
    fn end(&self, bytes: &mut Bytes) -> io::Result<i64> {
        let last = self.packets.saturating_sub(1);
        let run = &self.runs[self.run(last)];
        Ok(match self.timing {
            Timing::Packets(per) => run.at + (self.packets - run.first) as i64 * i64::from(per),
            Timing::Frames(_) => run.at + (self.packets - run.first) as i64,
            Timing::Flac(info) => {
                // A damaged packet has no known end; use the one before it.
                let mut end = 0;
                for packet in (last.saturating_sub(16)..=last).rev() {
                    if let Some(head) = self.flac(bytes, &info, packet)? {
                        end = flac::place(&head, self.block) as i64 + i64::from(head.block) + self.shift;
                        break;
                    }
                }
                end
            }
        })
    }
}

/// Returns what is played: according to the edit list, else to iTunes' metadata, else everything.
fn edits(bytes: &mut Bytes, index: &Index, track: &Track, rate: u32, end: i64, stop: i64) -> io::Result<Vec<Edit>> {
    let mut edits = Vec::new();
    if let Some(list) = find(bytes, &track.atom, &[b"edts", b"elst"])? {
        let all = contents(bytes, &list, 1 << 16)?;
        let long = all.first() == Some(&1);
        let rows = all.get(8..).unwrap_or_default();
        for row in rows.chunks_exact(if long { 20 } else { 12 }).take(be32(&all, 4) as usize) {
            let (duration, from) = match long {
                true => (be64(row, 0) as i64, be64(row, 8) as i64),
                false => (i64::from(be32(row, 0)), i64::from(be32(row, 4) as i32)),
            };
            let frames = scaled(duration, rate, index.scale);
            if from < 0 {
                edits.push(Edit { media: None, frames: frames.max(0) as u64 });
                continue;
            }
            let mut media = scaled(from, rate, track.scale);
            // If the time scale is coarser than frames, use the most likely encoder delay.
            let coarse = i64::from(rate / track.scale) + 1;
            if track.scale < rate
                && let Some(usual) = USUAL_DELAYS.iter().find(|delay| (**delay - media).abs() <= coarse)
            {
                media = *usual;
            }
            // A duration of 0 means "to the end", as in fragmented files. Durations are rounded to the movie's time
            // scale, often milliseconds: an end within that precision is taken as the end of the media.
            let mut to = if duration == 0 { stop } else { media.saturating_add(frames) };
            if (to - stop).abs() <= i64::from(rate / index.scale) + 1 {
                to = stop;
            }
            let (media, to) = (media.min(end), to.min(end));
            if to > media {
                edits.push(Edit { media: Some(media), frames: (to - media) as u64 });
            }
        }
    }
    let sound: Vec<&Edit> = edits.iter().filter(|edit| edit.media.is_some()).collect();
    let trivial = match sound.as_slice() {
        [] => true,
        [edit] => edit.media == Some(0) && edit.frames >= stop.max(0) as u64 && edits.len() == 1,
        _ => false,
    };
    if trivial && let Some((from, frames)) = itunes(bytes, &index.moov, rate, track.scale)? {
        let to = from.saturating_add(frames).min(end);
        if from < to {
            return Ok(vec![Edit { media: Some(from), frames: (to - from) as u64 }]);
        }
    }
    if sound.is_empty() {
        return Ok(vec![Edit { media: Some(0), frames: stop.max(0) as u64 }]);
    }
    Ok(edits)
}

/// Returns the first frame of the sound and its length, from the metadata that iTunes writes (iTunSMPB).
fn itunes(bytes: &mut Bytes, moov: &Atom, rate: u32, scale: u32) -> io::Result<Option<(i64, i64)>> {
    let Some(list) = find(bytes, moov, &[b"udta", b"meta", b"ilst"])? else { return Ok(None) };
    for item in within(bytes, list.from, list.to)?.into_iter().filter(|atom| atom.kind == *b"----") {
        let parts = within(bytes, item.from, item.to)?;
        let part = |kind: &[u8; 4]| parts.iter().find(|atom| atom.kind == *kind).copied();
        let (Some(name), Some(data)) = (part(b"name"), part(b"data")) else { continue };
        if contents(bytes, &name, 32)?.get(4..) != Some(b"iTunSMPB") {
            continue;
        }
        let data = contents(bytes, &data, 256)?;
        let text = String::from_utf8_lossy(data.get(8..).unwrap_or_default()).into_owned();
        let fields: Vec<i64> =
            text.split_ascii_whitespace().take(4).filter_map(|field| i64::from_str_radix(field, 16).ok()).collect();
        if let [_, delay, _, frames] = fields[..]
            && frames > 0
        {
            // These are output frames; the core of HE-AAC has half as many.
            let half = |n: i64| if scale == 2 * rate { n / 2 } else { n };
            return Ok(Some((half(delay), half(frames))));
        }
    }
    Ok(None)
}

impl Layout for Mp4 {
    fn reader(self: Arc<Self>, file: &Arc<MediaFile>) -> Box<dyn Packets> {
        Box::new(Mp4Reader::new(file, &self))
    }
}

/// Packet reader for a track of an [`Mp4`].
pub(super) struct Mp4Reader {
    bytes: Bytes,
    mp4: Arc<Mp4>,
    run: usize,
    packet: u64,
    offset: u64,
    fresh: bool,
}

impl Mp4Reader {
    /// Creates a reader at the first packet.
    pub fn new(file: &Arc<MediaFile>, mp4: &Arc<Mp4>) -> Mp4Reader {
        let mut reader =
            Mp4Reader { bytes: Bytes::new(file), mp4: mp4.clone(), run: 0, packet: 0, offset: 0, fresh: false };
        reader.go_to(0);
        reader
    }

    fn go_to(&mut self, packet: u64) {
        let packet = packet.min(self.mp4.packets.saturating_sub(1));
        self.run = self.mp4.run(packet);
        self.packet = packet;
        self.offset = self.mp4.offset(packet);
        self.fresh = true;
    }
}

impl Packets for Mp4Reader {
    fn seek(&mut self, frame: i64) -> Result<(), DecodeError> {
        let mp4 = self.mp4.clone();
        let index = mp4.runs.partition_point(|run| run.at <= frame).saturating_sub(1);
        let run = &mp4.runs[index];
        let to = mp4.runs.get(index + 1).map_or(mp4.packets, |next| next.first);
        let within = |packets: u64| run.first.saturating_add(packets).min(to);
        let own = (frame - run.at).max(0) as u64;
        let packet = match mp4.timing {
            Timing::Packets(per) => within(own / u64::from(per.max(1))).saturating_sub(RUN_UP),
            Timing::Frames(_) => within(own),
            Timing::Flac(info) => {
                let (mut low, mut high) = (0, mp4.packets);
                while high - low > 1 {
                    let middle = low.midpoint(high);
                    // The position of a damaged packet is unknown; resuming before it is safe.
                    let place = mp4.flac(&mut self.bytes, &info, middle)?.map(|head| flac::place(&head, mp4.block));
                    match place {
                        Some(place) if place as i64 + mp4.shift <= frame => low = middle,
                        _ => high = middle,
                    }
                }
                low
            }
        };
        self.go_to(packet);
        Ok(())
    }

    fn next(&mut self, packet: &mut Packet) -> Result<bool, DecodeError> {
        let mp4 = self.mp4.clone();
        while self.packet < mp4.packets {
            if mp4.runs.get(self.run + 1).is_some_and(|next| next.first <= self.packet) {
                self.run += 1;
                self.offset = mp4.runs[self.run].offset;
                continue;
            }
            let run = &mp4.runs[self.run];
            let to = mp4.runs.get(self.run + 1).map_or(mp4.packets, |next| next.first).min(mp4.packets);
            let mut count = 1;
            let mut size = u64::from(mp4.sizes.get(self.packet));
            packet.setup = mp4.entries[run.entry];
            match mp4.timing {
                Timing::Packets(per) => {
                    packet.frames = per;
                    packet.at = run.at + (self.packet - run.first) as i64 * i64::from(per);
                }
                Timing::Frames(bytes) => {
                    count = (PLAIN / u64::from(bytes.max(1))).clamp(1, (to - self.packet).max(1));
                    size = count * u64::from(bytes);
                    packet.frames = count as u32;
                    packet.at = run.at + (self.packet - run.first) as i64;
                }
                Timing::Flac(info) => {
                    let length = (size as usize).min(flac::HEADER);
                    let head = flac::parse(self.bytes.peek(self.offset, length)?, &info);
                    packet.frames = head.map_or(0, |head| head.block);
                    packet.at = head.map_or(0, |head| flac::place(&head, mp4.block) as i64 + mp4.shift);
                    packet.setup += head.map_or(0, |head| info.setup_for(head.block));
                }
            }
            let offset = self.offset;
            self.packet += count;
            self.offset = self.offset.saturating_add(size);
            if size > u64::from(MOST_PACKET) || (packet.frames == 0 && size > 0) {
                self.fresh = true;
                continue;
            }
            self.bytes.read(offset, size as usize, &mut packet.data)?;
            packet.fresh = std::mem::take(&mut self.fresh);
            return Ok(true);
        }
        Ok(false)
    }
}
