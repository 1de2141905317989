//! Ogg (RFC 3533) with Vorbis or FLAC: pages with checksums and positions, in one or several consecutive links.
//!
//! Small files are scanned page by page; large ones are sampled until it is certain that they have a single link.
//! Symphonia's reader plays only the first link but counts the others in the length, and after a lost page everything
//! moves forward.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;

use super::bytes::{Bytes, be16, le32, le64};
use super::error::DecodeError;
use super::flac;
use super::plan::{Codec, Edit, Layout, MOST_FRAMES, Packet, Packets, Plan, Remark, Setup, seconds};
use super::vorbis::Vorbis;
use crate::media::file::MediaFile;

/// Maximum size of a page in bytes.
const MOST_BYTES: usize = 27 + 255 + 255 * 255;
/// Maximum size of a sound packet in bytes.
const MOST_PACKET: usize = 4 << 20;
/// Size in bytes up to which files are scanned completely.
const LARGE: u64 = 8 << 20;
/// Number of places examined in larger files.
const PLACES: u64 = 32;
/// Distance in bytes at which a seek stops searching and reads on.
const NEAR: u64 = 64 * 1024;

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut k = 0;
    while k < 256 {
        let (mut crc, mut bit) = ((k as u32) << 24, 0);
        while bit < 8 {
            crc = if crc & 1 << 31 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
            bit += 1;
        }
        table[k] = crc;
        k += 1;
    }
    table
}

static CRC: [u32; 256] = crc_table();

/// Header of a page.
#[derive(Clone, Debug)]
struct Page {
    at: u64,
    /// Sizes of header and body in bytes.
    header: u64,
    body: u64,
    continued: bool,
    first: bool,
    last: bool,
    /// Granule position at its end; -1 if no packet ends on it.
    granule: i64,
    serial: u32,
    number: u32,
    lacing: Vec<u8>,
}

impl Page {
    /// Parses the header at `at`.
    fn read(bytes: &mut Bytes, at: u64) -> io::Result<Option<Page>> {
        let head = bytes.peek(at, 27 + 255)?;
        if !head.starts_with(b"OggS") || head.len() < 27 || head[4] != 0 {
            return Ok(None);
        }
        let Some(lacing) = head.get(27..27 + usize::from(head[26])) else { return Ok(None) };
        Ok(Some(Page {
            at,
            header: 27 + lacing.len() as u64,
            body: lacing.iter().map(|n| u64::from(*n)).sum(),
            continued: head[5] & 1 != 0,
            first: head[5] & 2 != 0,
            last: head[5] & 4 != 0,
            granule: le64(head, 6) as i64,
            serial: le32(head, 14),
            number: le32(head, 18),
            lacing: lacing.to_vec(),
        }))
    }

    fn end(&self) -> u64 {
        self.at + self.header + self.body
    }

    /// Returns whether its checksum is valid.
    fn is_whole(&self, bytes: &mut Bytes) -> io::Result<bool> {
        let length = (self.header + self.body) as usize;
        let page = bytes.peek(self.at, length)?;
        if page.len() < length {
            return Ok(false);
        }
        let crc = page.iter().enumerate().fold(0u32, |crc, (k, byte)| {
            let byte = if (22..26).contains(&k) { 0 } else { *byte };
            crc << 8 ^ CRC[usize::from((crc >> 24) as u8 ^ byte)]
        });
        Ok(crc == le32(page, 22))
    }
}

/// Finds the next valid page from `at` on.
fn search(bytes: &mut Bytes, mut at: u64, to: u64) -> io::Result<Option<Page>> {
    while at + 27 <= to {
        let part = bytes.peek(at, 4096)?;
        let Some(skip) = part.windows(4).position(|w| w == b"OggS") else {
            at += (part.len() as u64).saturating_sub(3).max(1);
            continue;
        };
        at += skip as u64;
        if let Some(page) = Page::read(bytes, at)?
            && page.is_whole(bytes)?
        {
            return Ok(Some(page));
        }
        at += 1;
    }
    Ok(None)
}

/// Returns whether an Ogg stream begins at `at`, with a valid first page. Random bytes do not pass.
pub(super) fn begins(bytes: &mut Bytes, at: u64) -> io::Result<bool> {
    match Page::read(bytes, at)? {
        Some(page) => Ok(page.first && page.is_whole(bytes)?),
        None => Ok(false),
    }
}

/// Codec of a link.
#[derive(Clone, Debug)]
enum Coding {
    Vorbis(Arc<Vorbis>),
    Flac { info: flac::Info, block: u64 },
}

/// One logical stream, from its first page to its last.
#[derive(Debug)]
struct Link {
    coding: Coding,
    serial: u32,
    /// Offsets of the first page with sound, of the last page, and past its end.
    data: u64,
    last: u64,
    end: u64,
    /// Granule positions at the start of the first frame and at the end of the last.
    start: i64,
    stop: i64,
    /// Index of its first decoder setup in the plan.
    setup: usize,
    rate: u32,
    /// Its first frame in the whole sound, at the rate of the first link.
    base: i64,
}

/// Layout of a file.
#[derive(Debug)]
pub(super) struct Ogg {
    links: Vec<Link>,
    /// Sample rate of the output in Hz.
    rate: u32,
}

impl Link {
    /// Converts a granule position to a frame of the whole sound.
    fn frame(&self, granule: i64, rate: u32) -> i64 {
        let own = i128::from(granule) - i128::from(self.start);
        self.base + (own * i128::from(rate) / i128::from(self.rate.max(1))) as i64
    }
}

/// Name of the codec whose stream begins with this packet.
fn codec_name(packet: &[u8]) -> Option<&'static str> {
    let names: [(&[u8], &str); 12] = [
        (b"OpusHead", "Opus"),
        (b"Speex", "Speex"),
        (b"CELT", "CELT"),
        (b"PCM     ", "OggPCM"),
        (b"\x80theora", "Theora video"),
        (b"\x01video", "video"),
        (b"BBCD", "Dirac video"),
        (b"OVP80", "VP8 video"),
        (b"\x80daala", "Daala video"),
        (b"\x80kate", "Kate text"),
        (b"CMML", "CMML text"),
        (b"\x01audio", "OGM audio"),
    ];
    names.iter().find(|(mark, _)| packet.starts_with(mark)).map(|(_, name)| *name)
}

/// Headers of a link: its codec and serial number, the serial numbers of all its streams, and the start of the sound.
#[derive(Clone)]
struct Head {
    coding: Coding,
    serial: u32,
    serials: Vec<u32>,
    data: u64,
}

/// Reads the headers of the link that begins at `at`.
fn head(bytes: &mut Bytes, at: u64, to: u64) -> Result<Head, DecodeError> {
    let (mut place, mut chosen, mut serials, mut other) = (at, None, Vec::new(), None);
    while let Some(page) = Page::read(bytes, place)?.filter(|page| page.first) {
        let packet = bytes.peek(page.at + page.header, (page.body as usize).min(64))?;
        if chosen.is_none() && (packet.starts_with(b"\x01vorbis") || packet.starts_with(b"\x7fFLAC")) {
            chosen = Some((page.serial, packet.to_vec()));
        } else if other.is_none_or(|name: &str| name.contains("video") || name.contains("text")) {
            other = codec_name(packet).or(other);
        }
        serials.push(page.serial);
        place = page.end();
    }
    let Some((serial, first)) = chosen else {
        return Err(DecodeError::no_decoder(&format!("{} in Ogg", other.unwrap_or("an unknown codec"))));
    };
    // Vorbis has three header packets, FLAC as many as it declares (or all that are not frames).
    let is_vorbis = first.starts_with(b"\x01vorbis");
    let count = if is_vorbis { 3 } else { u32::from(be16(&first, 7)).max(1) + 1 };
    let (mut packets, mut packet, mut third) = (0, Vec::new(), Vec::new());
    let mut place = at;
    while packets < count {
        let page = match Page::read(bytes, place)? {
            Some(page) => page,
            None => match search(bytes, place + 1, to)? {
                Some(page) => page,
                None => return Err(DecodeError::Damaged("its headers are truncated".into())),
            },
        };
        place = page.end();
        if page.serial != serial {
            continue;
        }
        let mut from = page.at + page.header;
        for length in &page.lacing {
            // Comments with pictures are long and not needed.
            if packets == 2 && packet.len() < MOST_PACKET {
                packet.extend_from_slice(bytes.peek(from, usize::from(*length))?);
            }
            from += u64::from(*length);
            if *length < 255 {
                packets += 1;
                if packets == 3 {
                    third = std::mem::take(&mut packet);
                }
            }
        }
        if place > to {
            return Err(DecodeError::Damaged("its headers are truncated".into()));
        }
        // A page that ends after the headers already contains sound.
        if !is_vorbis && packets >= count {
            break;
        }
    }
    let coding = if is_vorbis {
        let vorbis = Vorbis::read(&first, &third)
            .ok_or_else(|| DecodeError::Damaged("its Vorbis headers are invalid".into()))?;
        Coding::Vorbis(vorbis.into())
    } else {
        let info = first.get(17..).and_then(flac::Info::read);
        Coding::Flac { info: info.ok_or_else(|| DecodeError::Damaged("its FLAC header is invalid".into()))?, block: 0 }
    };
    Ok(Head { coding, serial, serials, data: place })
}

/// End of a link, with its last pages.
struct Tail {
    end: u64,
    /// The last pages of the chosen stream on which a packet ends.
    pages: VecDeque<Page>,
    /// Offset of the next link.
    next: Option<u64>,
    /// Whether there are bytes between pages that are not pages.
    damaged: bool,
    /// Whether the file ends within a page.
    cut: bool,
}

/// Scans the pages of a link to its end.
fn walk(bytes: &mut Bytes, head: &Head, to: u64) -> io::Result<Tail> {
    let mut tail = Tail { end: head.data, pages: VecDeque::new(), next: None, damaged: false, cut: false };
    let mut at = head.data;
    while at < to {
        let Some(page) = Page::read(bytes, at)?.filter(|page| page.end() <= to) else {
            tail.cut = Page::read(bytes, at)?.is_some();
            match search(bytes, at + 1, to)? {
                Some(page) => {
                    tail.damaged = true;
                    at = page.at;
                    continue;
                }
                None => break,
            }
        };
        if page.first {
            tail.next = Some(at);
            break;
        }
        at = page.end();
        tail.end = at;
        if page.serial == head.serial && page.granule >= 0 && !page.lacing.is_empty() {
            if tail.pages.len() == 8 {
                tail.pages.pop_front();
            }
            tail.pages.push_back(page);
        }
    }
    Ok(tail)
}

/// Samples a large file; `None` if it may have more than one link.
fn sample(bytes: &mut Bytes, head: &Head, to: u64) -> io::Result<Option<Tail>> {
    let mut before = -1;
    for place in 0..PLACES {
        let at = head.data + (to - head.data) * place / PLACES;
        let mut page = search(bytes, at, to)?;
        // Pages of other streams lie between.
        for _ in 0..64 {
            match page {
                Some(other) if other.serial != head.serial || other.granule < 0 => {
                    if other.first || !head.serials.contains(&other.serial) {
                        return Ok(None);
                    }
                    page = search(bytes, other.end(), to)?;
                }
                _ => break,
            }
        }
        match page {
            Some(page) if !page.first && page.serial == head.serial && page.granule >= before => before = page.granule,
            _ => return Ok(None),
        }
    }
    // Scan everything from the last place on.
    let at = head.data + (to - head.data) * (PLACES - 1) / PLACES;
    let Some(page) = search(bytes, at, to)? else { return Ok(None) };
    let tail = walk(bytes, &Head { data: page.at, ..head.clone() }, to)?;
    let grows = tail.pages.iter().all(|page| page.granule >= before);
    Ok((tail.next.is_none() && grows).then_some(tail))
}

/// Builds the plan for the stream whose first page begins at `at`.
///
/// # Errors
/// If the file cannot be read, its codec is not supported, or it contains no sound.
pub(super) fn open(bytes: &mut Bytes, at: u64) -> Result<Plan, DecodeError> {
    let to = bytes.len();
    let (mut links, mut setups, mut remarks): (Vec<Link>, Vec<Setup>, Vec<Remark>) = Default::default();
    let (mut rate, mut base, mut next) = (0, 0i64, Some(at));
    while let Some(at) = next {
        let head = match head(bytes, at, to) {
            Ok(head) => head,
            Err(error) if links.is_empty() => return Err(error),
            Err(error) => {
                remarks.push(Remark::loss(format!("a following part {error}")));
                break;
            }
        };
        let sampled = if to - head.data > LARGE { sample(bytes, &head, to)? } else { None };
        let tail = match sampled {
            Some(tail) => tail,
            None => walk(bytes, &head, to)?,
        };
        next = tail.next.filter(|next| *next > at);
        if tail.cut {
            remarks.push(Remark::loss("it is truncated in the middle of a page".into()));
        }
        if tail.damaged {
            remarks.push(Remark::loss("some of its pages are damaged".into()));
        }
        let Some(mut link) = measure(bytes, head, &tail)? else { continue };
        link.setup = setups.len();
        setups.extend(match &link.coding {
            Coding::Vorbis(vorbis) => vec![setup_of(vorbis)],
            Coding::Flac { info, .. } => info.setups().to_vec(),
        });
        link.base = base;
        rate = if links.is_empty() { link.rate } else { rate };
        base = link.frame(link.stop, rate);
        if link.rate != rate {
            let part = seconds((link.stop - link.start) as u64, link.rate);
            remarks.push(Remark::loss(format!(
                "its sample rate changes from {rate} to {} Hz: {part} are silent",
                link.rate
            )));
        }
        links.push(link);
        if base as u64 > MOST_FRAMES {
            return Err(DecodeError::Damaged(format!("its pages claim an implausible length of {base} frames")));
        }
    }
    if base <= 0 {
        return Err(DecodeError::Unsupported("it contains no sound".into()));
    }
    let edit = Edit { media: Some(0), frames: base as u64 };
    Ok(Plan { rate, setups, edits: vec![edit], layout: Arc::new(Ogg { links, rate }), remarks })
}

/// Finds the positions of the first and last frame of a link; `None` if it has none.
fn measure(bytes: &mut Bytes, head: Head, tail: &Tail) -> Result<Option<Link>, DecodeError> {
    let rate = match &head.coding {
        Coding::Vorbis(vorbis) => vorbis.rate,
        Coding::Flac { info, .. } => info.rate,
    };
    let mut last = None;
    for page in tail.pages.iter().rev() {
        if page.is_whole(bytes)? {
            last = Some(page);
            break;
        }
    }
    let Some(last) = last else { return Ok(None) };
    let mut link = Link {
        coding: head.coding,
        serial: head.serial,
        data: head.data,
        last: last.at,
        end: last.end(),
        start: 0,
        stop: last.granule,
        setup: 0,
        rate,
        base: 0,
    };
    if let Some((start, block)) = beginning(bytes, &link)? {
        link.start = start;
        if let Coding::Flac { block: each, .. } = &mut link.coding {
            *each = block;
        }
    }
    Ok((link.stop > link.start).then_some(link))
}

/// Returns the position of a link's first frame, and the size of its first block in frames.
fn beginning(bytes: &mut Bytes, link: &Link) -> Result<Option<(i64, u64)>, DecodeError> {
    let mut pages = PageReader::new(link.data);
    // A block of any size ends within a few pages.
    for _ in 0..64 {
        let Some(page) = pages.next(bytes, link)? else { break };
        match &link.coding {
            Coding::Flac { info, .. } => {
                if let Some(head) = page.packets.iter().find_map(|packet| flac::parse(packet, info)) {
                    let block = u64::from(head.block);
                    return Ok(Some((flac::place(&head, block) as i64, block)));
                }
            }
            Coding::Vorbis(vorbis) => {
                if page.packets.is_empty() || page.granule < 0 {
                    continue;
                }
                let mut before = None;
                let mut frames = 0;
                for block in page.packets.iter().filter_map(|packet| vorbis.block(packet)) {
                    frames += before.map_or(0, |before: u32| i64::from((before + block) / 4));
                    before = Some(block);
                }
                // A smaller position than the frames require: the start is trimmed, or the end if this is the last
                // page.
                return Ok(Some(((page.granule - frames).max(0), 0)));
            }
        }
    }
    Ok(None)
}

/// The packets that end on one page.
struct PagePackets {
    granule: i64,
    /// Whether it is the last page of the link.
    last: bool,
    /// Whether something is missing before them.
    fresh: bool,
    packets: Vec<Vec<u8>>,
}

/// Assembles packets from the pages of a link.
struct PageReader {
    at: u64,
    partial: Option<Vec<u8>>,
    number: Option<u32>,
    lost: bool,
}

impl PageReader {
    fn new(at: u64) -> PageReader {
        PageReader { at, partial: None, number: None, lost: false }
    }

    /// Returns the next page of the link on which packets end.
    fn next(&mut self, bytes: &mut Bytes, link: &Link) -> Result<Option<PagePackets>, DecodeError> {
        while self.at < link.end {
            let page = match Page::read(bytes, self.at)? {
                Some(page) if page.is_whole(bytes)? => page,
                _ => {
                    self.lost = true;
                    match search(bytes, self.at + 1, link.end)? {
                        Some(page) => page,
                        None => return Ok(None),
                    }
                }
            };
            self.at = page.end();
            if page.serial != link.serial {
                continue;
            }
            self.lost |= self.number.is_some_and(|number| page.number != number.wrapping_add(1));
            self.number = Some(page.number);
            if self.lost || !page.continued {
                self.partial = None;
            }
            // A packet whose start is missing is skipped.
            let mut packet = if page.continued { self.partial.take() } else { Some(Vec::new()) };
            let mut found = PagePackets {
                granule: page.granule,
                last: page.last || page.at == link.last,
                fresh: std::mem::take(&mut self.lost),
                packets: Vec::new(),
            };
            let mut from = page.at + page.header;
            let mut open = !page.lacing.is_empty();
            for length in &page.lacing {
                if let Some(packet) = &mut packet
                    && packet.len() < MOST_PACKET
                {
                    packet.extend_from_slice(bytes.peek(from, usize::from(*length))?);
                }
                from += u64::from(*length);
                open = *length == 255;
                if !open && let Some(whole) = packet.replace(Vec::new()) {
                    found.packets.push(whole);
                }
            }
            self.partial = if open { packet } else { None };
            if !found.packets.is_empty() {
                return Ok(Some(found));
            }
            self.lost |= found.fresh;
        }
        Ok(None)
    }
}

impl Layout for Ogg {
    fn reader(self: Arc<Self>, file: &Arc<MediaFile>) -> Box<dyn Packets> {
        Box::new(OggReader::new(file, &self))
    }
}

/// Packet reader for [`Ogg`].
pub(super) struct OggReader {
    bytes: Bytes,
    ogg: Arc<Ogg>,
    link: usize,
    pages: PageReader,
    /// Packets with their positions and lengths in frames.
    queue: VecDeque<(i64, i64, Vec<u8>)>,
    /// Position at the end of the last packet, and the size of its block.
    after: Option<i64>,
    block: Option<u32>,
    fresh: bool,
}

impl OggReader {
    /// Creates a reader at the first packet.
    pub fn new(file: &Arc<MediaFile>, ogg: &Arc<Ogg>) -> OggReader {
        let mut reader = OggReader {
            bytes: Bytes::new(file),
            ogg: ogg.clone(),
            link: 0,
            pages: PageReader::new(0),
            queue: VecDeque::new(),
            after: None,
            block: None,
            fresh: false,
        };
        reader.enter(0);
        reader
    }

    /// Moves to the start of a link.
    fn enter(&mut self, link: usize) {
        self.link = link;
        self.queue.clear();
        self.block = None;
        self.fresh = true;
        if let Some(link) = self.ogg.links.get(link) {
            self.pages = PageReader::new(link.data);
            self.after = Some(link.start);
        }
    }

    /// Queues the packets of a page with their positions.
    fn place(&mut self, page: PagePackets, link: &Link) {
        if page.fresh {
            self.fresh = true;
            (self.after, self.block) = (None, None);
        }
        match &link.coding {
            Coding::Flac { info, block } => {
                for packet in page.packets {
                    if let Some(head) = flac::parse(&packet, info) {
                        let at = flac::place(&head, *block) as i64;
                        self.queue.push_back((at, i64::from(head.block), packet));
                    }
                }
            }
            Coding::Vorbis(vorbis) => {
                let mut lengths = Vec::with_capacity(page.packets.len());
                for packet in &page.packets {
                    // The first block after a gap yields no sound; it only primes the next.
                    let block = vorbis.block(packet);
                    lengths.push(match (self.block, block) {
                        (Some(before), Some(block)) => i64::from((before + block) / 4),
                        _ => 0,
                    });
                    self.block = block.or(self.block);
                }
                let all: i64 = lengths.iter().sum();
                // The position of a page is that of the end of its last packet. Only where that trims the end are
                // packets positioned by what came before.
                let mut at = match self.after {
                    Some(after) if page.granule < 0 || (page.last && page.granule < after + all) => after,
                    _ if page.granule < 0 => {
                        self.queue.clear();
                        return;
                    }
                    _ => page.granule - all,
                };
                for (packet, length) in page.packets.into_iter().zip(lengths) {
                    self.queue.push_back((at, length, packet));
                    at += length;
                }
                self.after = Some(at);
            }
        }
    }
}

impl Packets for OggReader {
    fn seek(&mut self, frame: i64) -> Result<(), DecodeError> {
        let ogg = self.ogg.clone();
        let index = ogg.links.partition_point(|link| link.base <= frame).saturating_sub(1);
        self.enter(index);
        let Some(link) = ogg.links.get(index) else { return Ok(()) };
        let run_up = match &link.coding {
            Coding::Vorbis(vorbis) => 2 * i64::from(vorbis.longest()),
            Coding::Flac { .. } => 65_535,
        };
        let own = i128::from(frame - link.base) * i128::from(link.rate) / i128::from(ogg.rate.max(1));
        let target = link.start + own as i64 - run_up;
        let (mut low, mut high) = ((link.data, link.start), (link.end, link.stop));
        for turn in 0..24 {
            let (room, span) = (high.0 - low.0, (high.1 - low.1).max(1));
            if room <= NEAR || target <= low.1 {
                break;
            }
            let share = if turn % 4 == 3 { 0.5 } else { ((target - low.1) as f64 / span as f64).min(1.0) };
            let guess = low.0 + ((room as f64 * share) as u64).saturating_sub(NEAR / 3).clamp(1, room - 1);
            let mut page = search(&mut self.bytes, guess, high.0)?;
            for _ in 0..64 {
                match page {
                    Some(other) if other.serial != link.serial || other.granule < 0 => {
                        page = search(&mut self.bytes, other.end(), high.0)?;
                    }
                    _ => break,
                }
            }
            match page {
                Some(page) if page.granule <= target => low = (page.at, page.granule),
                Some(page) => high = (guess, page.granule),
                None => high.0 = guess,
            }
        }
        if low.0 > link.data {
            self.pages = PageReader::new(low.0);
            self.after = None;
        }
        Ok(())
    }

    fn next(&mut self, packet: &mut Packet) -> Result<bool, DecodeError> {
        let ogg = self.ogg.clone();
        loop {
            let Some(link) = ogg.links.get(self.link) else { return Ok(false) };
            if let Some((at, length, data)) = self.queue.pop_front() {
                packet.at = link.frame(at, ogg.rate);
                // The last packet may extend past the end, where the next link begins.
                let to = link.frame((at + length).min(link.stop), ogg.rate);
                packet.frames = (to - packet.at).clamp(0, 1 << 20) as u32;
                packet.setup = link.setup;
                if let Coding::Flac { info, .. } = &link.coding {
                    packet.setup += info.setup_for(length as u32);
                }
                packet.fresh = std::mem::take(&mut self.fresh);
                packet.data = data;
                return Ok(true);
            }
            match self.pages.next(&mut self.bytes, link)? {
                Some(page) => self.place(page, link),
                None => self.enter(self.link + 1),
            }
        }
    }
}

// A page is read at once, so the longest page must fit into the limit of a packet.
const _: () = assert!(MOST_BYTES < MOST_PACKET);
/// Returns the decoder setup of a Vorbis stream.
fn setup_of(vorbis: &Arc<Vorbis>) -> Setup {
    let codec = if vorbis.simple {
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_VORBIS).with_extra_data(vorbis.headers.concat().into_boxed_slice());
        Codec::Symphonia(Box::new(parameters))
    } else {
        Codec::Vorbis(vorbis.clone())
    };
    Setup { codec, rate: vorbis.rate, channels: usize::from(vorbis.channels), positions: None }
}
