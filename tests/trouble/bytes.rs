//! Files constructed byte by byte.

/// Deterministic pseudo-random numbers.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// Returns the contents of a `fmt ` chunk.
pub fn format(tag: u16, channels: u16, rate: u32, bits: u16, align: u16) -> Vec<u8> {
    let mut f = tag.to_le_bytes().to_vec();
    f.extend(channels.to_le_bytes());
    f.extend(rate.to_le_bytes());
    f.extend((rate * u32::from(align)).to_le_bytes());
    f.extend(align.to_le_bytes());
    f.extend(bits.to_le_bytes());
    f
}

/// Returns a `fmt ` chunk of WAVE_FORMAT_EXTENSIBLE with `valid` bits and a channel mask.
pub fn extensible(tag: u16, channels: u16, bits: u16, align: u16, valid: u16, mask: u32) -> Vec<u8> {
    let mut f = format(0xfffe, channels, 44_100, bits, align);
    f.extend(22u16.to_le_bytes());
    f.extend(valid.to_le_bytes());
    f.extend(mask.to_le_bytes());
    f.extend(tag.to_le_bytes());
    f.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    f
}

/// Returns a chunk: name, size and contents, padded.
pub fn chunk(name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    let mut c = name.to_vec();
    c.extend((contents.len() as u32).to_le_bytes());
    c.extend(contents);
    c.resize(c.len() + contents.len() % 2, 0);
    c
}

/// Returns a RIFF file of these chunks.
pub fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut file = b"RIFF".to_vec();
    file.extend((body.len() as u32 + 4).to_le_bytes());
    file.extend(b"WAVE");
    file.extend(body);
    file
}

/// Returns 16-bit samples of stereo sines that differ left and right.
pub fn samples(frames: usize) -> Vec<i16> {
    (0..frames)
        .flat_map(|k| {
            let t = k as f64 / 44_100.0;
            let side = |hz: f64| ((std::f64::consts::TAU * hz * t).sin() * 9_000.0) as i16;
            [side(441.0), side(313.0)]
        })
        .collect()
}

/// Returns these samples as bytes.
pub fn pcm16(frames: usize) -> Vec<u8> {
    samples(frames).iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// Returns offset and length of the pages of an Ogg file.
pub fn pages(ogg: &[u8]) -> Vec<(usize, usize)> {
    let mut pages = Vec::new();
    let mut at = 0;
    while ogg.get(at..at + 4) == Some(b"OggS") {
        let segments = usize::from(ogg[at + 26]);
        let body: usize = ogg[at + 27..at + 27 + segments].iter().map(|n| usize::from(*n)).sum();
        pages.push((at, 27 + segments + body));
        at += 27 + segments + body;
    }
    pages
}

/// Corrects the checksum of a page.
pub fn seal(page: &mut [u8]) {
    page[22..26].fill(0);
    let crc = page.iter().fold(0u32, |crc, byte| {
        (0..8)
            .fold(crc ^ u32::from(*byte) << 24, |crc, _| if crc >> 31 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
    });
    page[22..26].copy_from_slice(&crc.to_le_bytes());
}

/// Returns a new page.
pub fn page(flags: u8, granule: i64, serial: u32, number: u32, packet: &[u8]) -> Vec<u8> {
    assert!(packet.len() < 255);
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(serial.to_le_bytes());
    page.extend(number.to_le_bytes());
    page.extend([0; 4]);
    page.extend([1, packet.len() as u8]);
    page.extend(packet);
    seal(&mut page);
    page
}

/// Returns offset and length of the frames of a plain MP3 or ADTS file.
pub fn frames(file: &[u8]) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at + 7 <= file.len() && file[at] == 0xff {
        let length = if file[at + 1] & 6 == 0 {
            usize::from(file[at + 3] & 3) << 11 | usize::from(file[at + 4]) << 3 | usize::from(file[at + 5] >> 5)
        } else {
            let index = usize::from(file[at + 2] >> 4);
            let rate = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320][index];
            144_000 * rate / 44_100 + usize::from(file[at + 2] >> 1 & 1)
        };
        if at + length > file.len() {
            break;
        }
        frames.push((at, length));
        at += length;
    }
    frames
}

/// Returns offset and length of the first box at a path of box types.
pub fn find(file: &[u8], path: &[&[u8; 4]]) -> (usize, usize) {
    let (mut from, mut to) = (0, file.len());
    let mut found = (0, 0);
    for kind in path {
        let mut at = from;
        loop {
            assert!(at + 8 <= to, "no {}", String::from_utf8_lossy(*kind));
            let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
            if &file[at + 4..at + 8] == *kind {
                found = (at, size);
                break;
            }
            at += size;
        }
        (from, to) = (found.0 + 8, found.0 + found.1);
    }
    found
}
