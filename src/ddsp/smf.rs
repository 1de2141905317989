//! Standard MIDI files, read the way players read them: what can be understood is played.
//!
//! After "Standard MIDI Files 1.0" (RP-001). Files in the wild break it in known ways, and none of these costs a note:
//! running status goes on behind meta events and system exclusive messages; a track ends at its end-of-track event,
//! whatever its length says; a track without one ends where its length or the file does; chunks of other kinds are passed
//! over; a RIFF wrapper (RMID) or a MacBinary head may stand in front.

/// A channel message or what matters of a meta event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Status (0x8 to 0xe), channel and both data bytes.
    Channel(u8, u8, u8, u8),
    /// Microseconds in a beat, at least 1.
    Tempo(u32),
    /// The track's name.
    Name(&'a [u8]),
}

/// An event at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Ticks from the beginning.
    pub tick: u64,
    /// What happens.
    pub kind: Kind<'a>,
}

/// How long a tick is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Division {
    /// Ticks in a beat.
    Beat(u16),
    /// Seconds in a tick.
    Time(f64),
}

/// A file.
#[derive(Clone, Debug, Default)]
pub struct File<'a> {
    /// 0 or 1.
    pub format: u16,
    /// How long a tick is.
    pub division: Option<Division>,
    /// Events of each track.
    pub tracks: Vec<Vec<Event<'a>>>,
    /// Whether the file ends in the middle of a track.
    pub cut: bool,
    /// What is odd about it but costs nothing.
    pub remarks: Vec<String>,
}

/// Where the header begins: at once, in a RIFF file's data (RMID), or behind a MacBinary head or zeros.
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

/// Whether these are the first bytes of a MIDI file.
pub fn is_midi(head: &[u8]) -> bool {
    start(head).is_some()
}

impl<'a> File<'a> {
    /// Reads a file, as far as it goes.
    ///
    /// # Errors
    /// Why there is nothing to read.
    pub fn read(bytes: &'a [u8]) -> Result<File<'a>, String> {
        let at = start(bytes).ok_or("is no MIDI file: it does not begin with 'MThd'")?;
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
            0 => return Err("has no ticks in a beat".into()),
            beat if beat & 0x8000 == 0 => Division::Beat(beat),
            time => {
                // 29 stands for 30 frames of which some are dropped: 29.97 a second.
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
            file.remarks.push(format!("its header promises {promised} tracks, but {there} are there"));
        }
        Ok(file)
    }

    /// Reads the chunk at `at`; returns where the next one begins, behind `at`.
    fn chunk(&mut self, bytes: &'a [u8], at: usize) -> usize {
        let Some(head) = bytes.get(at..at + 8) else {
            // A few bytes are rubbish; the beginning of a track is a cut.
            self.cut |=
                bytes[at..].starts_with(b"MTrk") || (self.tracks.is_empty() && b"MTrk".starts_with(&bytes[at..]));
            return bytes.len();
        };
        let size = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let from = at + 8;
        if &head[..4] != b"MTrk" {
            // Of another kind, if its size leads to a chunk or to the end; rubbish otherwise.
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
            // No mark, but all of it is there.
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

/// Whether a chunk may begin at `at`: four letters and a size that the file has room for.
fn is_chunk(bytes: &[u8], at: usize) -> bool {
    let Some(head) = at.checked_add(8).and_then(|end| bytes.get(at..end)) else { return false };
    let size = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let named = head[..4].iter().all(|c| c.is_ascii_alphanumeric() || *c == b' ');
    named && (&head[..4] == b"MTrk" || size <= bytes.len() - at - 8)
}

/// Where the next track begins, from `at` on; the end if there is none.
fn next_track(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(4).position(|w| w == b"MTrk").map_or(bytes.len(), |skip| at + skip)
}

/// How a track ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By its own event.
    Marked,
    /// Where its length says.
    Told,
    /// In the middle.
    Cut,
}

/// A track that is being read.
struct Track<'a> {
    bytes: &'a [u8],
    at: usize,
    tick: u64,
    status: Option<u8>,
    /// Where its length says that it ends.
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

    /// A number of seven bits a byte. The standard allows four bytes; leading zeros in more do no harm.
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

    /// A data byte of a channel message.
    fn data(&mut self) -> Option<u8> {
        let byte = self.byte()?;
        if byte > 127 {
            self.odd.get_or_insert_with(|| format!("has a data byte of {byte}; 127 is played"));
        }
        Some(byte.min(127))
    }

    fn run(&mut self) -> End {
        loop {
            // At the end that the length tells: an end if a chunk or nothing follows. Otherwise the length is wrong.
            if self.at == self.told && (self.at == self.bytes.len() || is_chunk(self.bytes, self.at)) {
                return End::Told;
            }
            match self.event() {
                Some(false) => {}
                Some(true) => return End::Marked,
                None if self.at >= self.bytes.len() => {
                    self.at = self.bytes.len();
                    // A meta event that goes on behind the end holds no note.
                    return if self.told == self.bytes.len() && self.odd.is_some() { End::Told } else { End::Cut };
                }
                None => return End::Cut,
            }
        }
    }

    /// Reads an event; whether it is the track's end. `None` where nothing can be read.
    fn event(&mut self) -> Option<bool> {
        self.tick += u64::from(self.number()?);
        let first = *self.bytes.get(self.at)?;
        let status = if first >= 0x80 {
            self.at += 1;
            first
        } else if let Some(status) = self.status {
            status
        } else {
            self.odd = Some("has data without a status: what follows is not played".into());
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
                    self.odd = Some("has a meta event that goes on behind its end".into());
                    return None;
                }
                let text = &self.bytes[from..self.at];
                match (kind, text) {
                    (0x2f, _) => return Some(true),
                    (0x03, name) => self.events.push(Event { tick: self.tick, kind: Kind::Name(name) }),
                    (0x51, [a, b, c, ..]) => match u32::from_be_bytes([0, *a, *b, *c]) {
                        0 => self.odd = Some("has a tempo of 0, which is left out".into()),
                        tempo => self.events.push(Event { tick: self.tick, kind: Kind::Tempo(tempo) }),
                    },
                    _ => {}
                }
            }
            // What belongs on a cable: position and song select have data, the rest has none.
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
