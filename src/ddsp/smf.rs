//! Tolerant reader of Standard MIDI Files.
//!
//! Follows "Standard MIDI Files 1.0" (RP-001). Real files violate it in known ways, none of which costs a note here:
//! running status continues after meta events and system exclusive messages; a track ends at its end-of-track event,
//! whatever its length says; a track without one ends where its length or the file ends; unknown chunks are skipped;
//! the file may be wrapped in RIFF (RMID) or preceded by a MacBinary header.

/// A channel message, or a meta event that matters for playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Status (0x8 to 0xe), channel and both data bytes.
    Channel(u8, u8, u8, u8),
    /// Tempo in microseconds per beat, at least 1.
    Tempo(u32),
    /// Name of the track.
    Name(&'a [u8]),
}

/// A timed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Ticks from the start.
    pub tick: u64,
    /// The event.
    pub kind: Kind<'a>,
}

/// Unit of time of the ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Division {
    /// Ticks per beat.
    Beat(u16),
    /// Seconds per tick.
    Time(f64),
}

/// A parsed MIDI file.
#[derive(Clone, Debug, Default)]
pub struct File<'a> {
    /// Format: 0 or 1.
    pub format: u16,
    /// Unit of time of the ticks.
    pub division: Option<Division>,
    /// Events of each track.
    pub tracks: Vec<Vec<Event<'a>>>,
    /// Whether the file is truncated within a track.
    pub cut: bool,
    /// Irregularities that cost no note.
    pub remarks: Vec<String>,
}

/// Offset of the header: at the start, in the data of a RIFF file (RMID), or after a 128-byte MacBinary header.
fn start(bytes: &[u8]) -> Option<usize> {
    let here = |at: usize| bytes.get(at..at + 4) == Some(b"MThd");
    if here(0) {
        return Some(0);
    }
    if bytes.get(..4) == Some(b"RIFF") && bytes.get(8..12) == Some(b"RMID") {
        let mut at = 12;
        while let Some(head) = bytes.get(at..at + 8) {
            if here(at + 8) {
                return Some(at + 8);
            }
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            at = at.checked_add(8 + size + size % 2)?;
        }
        return None;
    }
    here(128).then_some(128)
}

/// Returns whether `head`, the first bytes of a file, are those of a MIDI file.
pub fn is_midi(head: &[u8]) -> bool {
    start(head).is_some()
}

impl<'a> File<'a> {
    /// Parses a file; of a truncated file, the part that is present.
    ///
    /// # Errors
    /// A message that continues "the file …", if nothing can be read.
    pub fn read(bytes: &'a [u8]) -> Result<File<'a>, String> {
        let at = start(bytes).ok_or("is not a MIDI file: it does not begin with 'MThd'")?;
        let head = bytes.get(at + 4..at + 14).ok_or("ends within its header; copy it again")?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let word = |k: usize| u16::from_be_bytes([head[k], head[k + 1]]);
        let (format, promised, division) = (word(4), usize::from(word(6)), word(8));
        if format == 2 {
            return Err("is a MIDI file of format 2 (songs one after another); formats 0 and 1 are supported".into());
        }
        if format > 2 {
            return Err(format!("is a MIDI file of format {format}; formats 0 and 1 are supported"));
        }
        let division = match division {
            0 => return Err("has zero ticks per beat".into()),
            beat if beat & 0x8000 == 0 => Division::Beat(beat),
            time => {
                // 29 stands for 30 drop-frame: 29.97 frames per second.
                let rate = match (time >> 8) as u8 as i8 {
                    -29 => 30_000.0 / 1_001.0,
                    other => -f64::from(other),
                };
                Division::Time(1.0 / (rate * f64::from((time & 0xff).max(1))))
            }
        };
        let mut file = File { format, division: Some(division), ..File::default() };
        let mut at = at + 8 + length.max(6);
        while at < bytes.len() {
            at = file.chunk(bytes, at);
        }
        if file.tracks.len() != promised && !file.cut {
            let there = file.tracks.len();
            file.remarks.push(format!("its header announces {promised} tracks, but {there} are present"));
        }
        Ok(file)
    }

    /// Reads the chunk at `at` and returns the offset of the next one, greater than `at`.
    fn chunk(&mut self, bytes: &'a [u8], at: usize) -> usize {
        let Some(head) = bytes.get(at..at + 8) else {
            // A few trailing bytes are ignored, unless a track begins with them: then the file is truncated.
            self.cut |=
                bytes[at..].starts_with(b"MTrk") || (self.tracks.is_empty() && b"MTrk".starts_with(&bytes[at..]));
            return bytes.len();
        };
        let size = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let from = at + 8;
        if &head[..4] != b"MTrk" {
            // A foreign chunk if its size leads to another chunk or to the end of the file; otherwise garbage.
            let end = from.saturating_add(size);
            return if end == bytes.len() || is_chunk(bytes, end) { end } else { next_track(bytes, at + 1) };
        }
        let told = from.saturating_add(size);
        let mut track = Track { bytes, at: from, tick: 0, status: None, told, events: Vec::new(), odd: None };
        let end = track.run();
        let (stopped, odd, events) = (track.at, track.odd, track.events);
        let number = self.tracks.len() + 1;
        self.remarks.extend(odd.map(|odd| format!("track {number} {odd}")));
        self.tracks.push(events);
        match end {
            End::Marked => {}
            // Complete, but without an end-of-track event.
            End::Told => self.remarks.push(format!("track {number} has no end-of-track event")),
            End::Cut => self.cut = true,
        }
        if stopped == told || is_chunk(bytes, stopped) || stopped >= bytes.len() {
            return stopped.max(from);
        }
        if is_chunk(bytes, told) || told == bytes.len() {
            return told;
        }
        next_track(bytes, stopped.max(from))
    }
}

/// Returns whether a chunk may begin at `at`: a four-character name and a size that fits into the file.
fn is_chunk(bytes: &[u8], at: usize) -> bool {
    let Some(head) = at.checked_add(8).and_then(|end| bytes.get(at..end)) else { return false };
    let size = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let named = head[..4].iter().all(|c| c.is_ascii_alphanumeric() || *c == b' ');
    named && (&head[..4] == b"MTrk" || size <= bytes.len() - at - 8)
}

/// Offset of the next track at or after `at`; the end of the file if there is none.
fn next_track(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(4).position(|w| w == b"MTrk").map_or(bytes.len(), |skip| at + skip)
}

/// How the reading of a track ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At its end-of-track event.
    Marked,
    /// At the end given by its length.
    Told,
    /// Before either, because the data is truncated or unreadable.
    Cut,
}

/// State of the reading of a track.
struct Track<'a> {
    bytes: &'a [u8],
    at: usize,
    tick: u64,
    status: Option<u8>,
    /// End of the track according to its length.
    told: usize,
    events: Vec<Event<'a>>,
    odd: Option<String>,
}

impl<'a> Track<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Reads a variable-length number. The standard allows four bytes; more are accepted for leading zeros.
    fn number(&mut self) -> Option<u32> {
        let mut value: u32 = 0;
        for _ in 0..8 {
            let byte = self.byte()?;
            value = value << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        Some(value)
    }

    /// Reads a data byte of a channel message.
    fn data(&mut self) -> Option<u8> {
        let byte = self.byte()?;
        if byte > 127 {
            self.odd.get_or_insert_with(|| format!("has a data byte of {byte}; read as 127"));
        }
        Some(byte.min(127))
    }

    fn run(&mut self) -> End {
        loop {
            // The end given by the length is believed only if a chunk or the end of the file follows.
            if self.at == self.told && (self.at == self.bytes.len() || is_chunk(self.bytes, self.at)) {
                return End::Told;
            }
            match self.event() {
                Some(false) => {}
                Some(true) => return End::Marked,
                None if self.at >= self.bytes.len() => {
                    self.at = self.bytes.len();
                    // A meta event that extends past the end contains no note.
                    return if self.told == self.bytes.len() && self.odd.is_some() { End::Told } else { End::Cut };
                }
                None => return End::Cut,
            }
        }
    }

    /// Reads an event and returns whether it is the end of the track; `None` if nothing can be read.
    fn event(&mut self) -> Option<bool> {
        self.tick += u64::from(self.number()?);
        let first = *self.bytes.get(self.at)?;
        let status = if first >= 0x80 {
            self.at += 1;
            first
        } else if let Some(status) = self.status {
            status
        } else {
            self.odd = Some("has data without a status byte; the rest is not played".into());
            return None;
        };
        match status {
            0x80..=0xef => {
                self.status = Some(status);
                let one = self.data()?;
                let two = if matches!(status >> 4, 0xc | 0xd) { 0 } else { self.data()? };
                let kind = Kind::Channel(status >> 4, status & 15, one, two);
                self.events.push(Event { tick: self.tick, kind });
            }
            0xf0 | 0xf7 => {
                let length = self.number()? as usize;
                self.pass(length)?;
            }
            0xff => {
                let kind = self.byte()?;
                let length = self.number()? as usize;
                let from = self.at;
                if self.pass(length).is_none() {
                    self.odd = Some("has a meta event that extends past its end".into());
                    return None;
                }
                let text = &self.bytes[from..self.at];
                match (kind, text) {
                    (0x2f, _) => return Some(true),
                    (0x03, name) => self.events.push(Event { tick: self.tick, kind: Kind::Name(name) }),
                    (0x51, [a, b, c, ..]) => match u32::from_be_bytes([0, *a, *b, *c]) {
                        0 => self.odd = Some("has a tempo of 0, which is ignored".into()),
                        tempo => self.events.push(Event { tick: self.tick, kind: Kind::Tempo(tempo) }),
                    },
                    _ => {}
                }
            }
            // System common messages do not belong in files: position and song select have data, the others have none.
            0xf1 | 0xf3 => self.pass(1)?,
            0xf2 => self.pass(2)?,
            _ => {}
        }
        Some(false)
    }

    fn pass(&mut self, length: usize) -> Option<()> {
        let end = self.at.checked_add(length)?;
        if end > self.bytes.len() {
            self.at = self.bytes.len();
            return None;
        }
        self.at = end;
        Some(())
    }
}
