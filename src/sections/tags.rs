//! Descriptive data in the chunks that follow the data of a WAV file.
//!
//! The same fields are written twice, because readers differ: as `LIST`/`INFO` for audio editors and as `id3 ` for DJ
//! programs. Cue points are in `cue ` and `LIST`/`adtl`.
//!
//! Chunks and cue points: Microsoft and IBM, *Multimedia Programming Interface and Data Specifications 1.0* (1991),
//! chapters 2 and 3. ID3: id3.org, *ID3 tag version 2.3.0*.

/// Maximum number of characters of a text.
const MOST_CHARACTERS: usize = 1000;
/// Maximum number of cue points.
const MOST_CUES: usize = 1000;

/// Descriptive data of an exported part.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// Title.
    pub title: String,
    /// Artist.
    pub artist: String,
    /// Beats per minute.
    pub bpm: Option<f64>,
    /// Key as in ID3's TKEY: at most three characters, such as `C#m`; may be empty.
    pub key: String,
    /// Comment; may have several lines.
    pub comment: String,
}

/// A cue point.
#[derive(Clone, Debug)]
pub struct CuePoint {
    /// Frame, from the start of the part.
    pub frame: u32,
    /// Label; may be empty.
    pub label: String,
}

impl Tags {
    /// Returns the tags as they can be stored: everything but the comment on one line, all texts cut to 1000
    /// characters, no control characters (a NUL would end a text), no blanks at the ends.
    pub fn cleaned(&self) -> Tags {
        Tags {
            title: line(&self.title),
            artist: line(&self.artist),
            bpm: self.bpm,
            key: line(&self.key),
            comment: lines(&self.comment),
        }
    }

    /// Returns the tempo with up to three decimals, as few as possible; empty if there is none.
    ///
    /// ID3 specifies an integer, and a whole tempo is written as one. Others keep their decimals: rounding 122.4 to 122
    /// loses a beat in two and a half minutes. Mixxx parses the field as a floating-point number.
    pub fn bpm_text(&self) -> String {
        let rounded = self.bpm.map(|bpm| (bpm * 1000.0).round() / 1000.0);
        rounded.filter(|bpm| *bpm > 0.0 && *bpm < 10_000.0).map_or_else(String::new, |bpm| bpm.to_string())
    }
}

/// Returns the text on one line.
fn line(text: &str) -> String {
    let parts: Vec<_> = text.split(char::is_control).filter(|part| !part.is_empty()).collect();
    cut(&parts.join(" "))
}

/// Returns the text with line feeds as the only control characters.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', " ");
    cut(&text.replace(|c: char| c.is_control() && c != '\n', ""))
}

fn cut(text: &str) -> String {
    text.trim().chars().take(MOST_CHARACTERS).collect::<String>().trim_end().to_owned()
}

/// Returns the chunks that follow a WAV file's data: `LIST`/`INFO`, `cue `, `LIST`/`adtl` and `id3 `.
///
/// Each chunk is padded to even length, so the data before them must be, too. Empty fields are left out; without tags
/// and cue points, the result is empty. It is less than 6 MB: texts are cut to 1000 characters, and cue points after
/// the first 1000 are left out.
pub fn wav_chunks(tags: &Tags, cues: &[CuePoint]) -> Vec<u8> {
    let tags = tags.cleaned();
    let mut out = Vec::new();
    list(&mut out, b"INFO", &info(&tags));
    let cues = &cues[..cues.len().min(MOST_CUES)];
    if !cues.is_empty() {
        chunk(&mut out, b"cue ", &cue(cues));
        list(&mut out, b"adtl", &labels(cues));
    }
    // Last, so that a program which enlarges its tag has nothing to move.
    let frames = frames(&tags);
    if !frames.is_empty() {
        chunk(&mut out, b"id3 ", &id3(&frames));
    }
    out
}

/// Appends a chunk with its padding byte, which its length does not include.
fn chunk(out: &mut Vec<u8>, id: &[u8; 4], body: &[u8]) {
    out.extend(id);
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(body);
    out.extend((body.len() % 2 == 1).then_some(0));
}

/// Appends a `LIST` chunk unless it would be empty.
fn list(out: &mut Vec<u8>, kind: &[u8; 4], chunks: &[u8]) {
    if !chunks.is_empty() {
        chunk(out, b"LIST", &[kind, chunks].concat());
    }
}

/// Returns the chunks of the `INFO` list. Their encoding is not specified; UTF-8 is what most programs read and write.
fn info(tags: &Tags) -> Vec<u8> {
    let mut out = Vec::new();
    // The specification forbids line feeds in comments.
    for (id, text) in [(b"INAM", &tags.title), (b"IART", &tags.artist), (b"ICMT", &line(&tags.comment))] {
        if !text.is_empty() {
            chunk(&mut out, id, &[text.as_bytes(), &[0]].concat());
        }
    }
    out
}

/// Returns the content of the `cue ` chunk; names are 1, 2, 3 and so on.
fn cue(cues: &[CuePoint]) -> Vec<u8> {
    let mut out = (cues.len() as u32).to_le_bytes().to_vec();
    for (name, cue) in (1u32..).zip(cues) {
        out.extend(name.to_le_bytes());
        out.extend(cue.frame.to_le_bytes());
        out.extend(b"data");
        // Start of the chunk and of the block: both 0 with a single data chunk.
        out.extend([0; 8]);
        out.extend(cue.frame.to_le_bytes());
    }
    out
}

/// Returns the `labl` chunks of the `adtl` list.
fn labels(cues: &[CuePoint]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, cue) in (1u32..).zip(cues) {
        let label = line(&cue.label);
        if !label.is_empty() {
            chunk(&mut out, b"labl", &[&name.to_le_bytes()[..], label.as_bytes(), &[0]].concat());
        }
    }
    out
}

/// Returns an ID3 tag of version 2.3, which more programs read than 2.4.
fn id3(frames: &[u8]) -> Vec<u8> {
    let mut out = b"ID3\x03\0\0".to_vec();
    // Seven bits per byte.
    out.extend([21, 14, 7, 0].map(|shift| (frames.len() >> shift) as u8 & 0x7f));
    out.extend(frames);
    out
}

/// Returns the frames of the ID3 tag.
fn frames(tags: &Tags) -> Vec<u8> {
    let mut out = Vec::new();
    let mut frame = |id: &[u8; 4], body: &[u8]| {
        out.extend(id);
        out.extend((body.len() as u32).to_be_bytes());
        out.extend([0, 0]);
        out.extend(body);
    };
    // A shortened key could be a different one.
    let key = if tags.key.chars().count() <= 3 { tags.key.as_str() } else { "" };
    let bpm = tags.bpm_text();
    for (id, text) in [(b"TIT2", tags.title.as_str()), (b"TPE1", &tags.artist), (b"TBPM", &bpm), (b"TKEY", key)] {
        if !text.is_empty() {
            let wide = !text.is_ascii();
            frame(id, &[&[u8::from(wide)][..], &encoded(text, wide)].concat());
        }
    }
    if !tags.comment.is_empty() {
        let wide = !tags.comment.is_ascii();
        // The language must be `eng` and the description empty for some programs to show the comment.
        let empty: &[u8] = if wide { &[0xff, 0xfe, 0, 0] } else { &[0] };
        frame(b"COMM", &[&[u8::from(wide)][..], b"eng", empty, &encoded(&tags.comment, wide)].concat());
    }
    out
}

/// Returns the text as UTF-16 with a byte order mark, or as it is. Only ASCII may be left as it is: many programs take
/// the bytes beyond it not for Latin-1, as specified, but for the system's encoding.
fn encoded(text: &str, wide: bool) -> Vec<u8> {
    if wide {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    } else {
        text.as_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn le32(bytes: &[u8]) -> usize {
        u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize
    }

    /// Splits a sequence of chunks; panics unless it ends with the end of a padded chunk.
    fn split(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            let length = le32(&bytes[4..]);
            chunks.push((String::from_utf8(bytes[..4].to_vec()).unwrap(), bytes[8..8 + length].to_vec()));
            assert!(bytes[8 + length..8 + length + length % 2].iter().all(|byte| *byte == 0));
            bytes = &bytes[8 + length + length % 2..];
        }
        chunks
    }

    fn zero_terminated(bytes: &[u8]) -> String {
        assert_eq!(bytes.iter().position(|byte| *byte == 0), Some(bytes.len() - 1));
        String::from_utf8(bytes[..bytes.len() - 1].to_vec()).unwrap()
    }

    fn decoded(encoding: u8, bytes: &[u8]) -> String {
        if encoding == 0 {
            return bytes.iter().map(|byte| char::from(*byte)).collect();
        }
        let units: Vec<_> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!((encoding, units[0], bytes.len() % 2), (1, 0xfeff, 0));
        String::from_utf16(&units[1..]).unwrap()
    }

    /// Everything found in the chunks, as `ID=text` in the order of the bytes.
    fn read(bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for (id, body) in split(bytes) {
            match (id.as_str(), body.get(..4)) {
                ("LIST", Some(b"INFO")) => {
                    found.extend(split(&body[4..]).iter().map(|(id, text)| format!("{id}={}", zero_terminated(text))));
                }
                ("LIST", Some(b"adtl")) => {
                    for (id, body) in split(&body[4..]) {
                        found.push(format!("{id} {}={}", le32(&body), zero_terminated(&body[4..])));
                    }
                }
                ("cue ", _) => {
                    assert_eq!(body.len(), 4 + 24 * le32(&body));
                    for point in body[4..].chunks_exact(24) {
                        assert_eq!((&point[8..12], &point[12..20]), (&b"data"[..], &[0; 8][..]));
                        assert_eq!(point[4..8], point[20..]);
                        found.push(format!("cue {}={}", le32(point), le32(&point[4..])));
                    }
                }
                ("id3 ", Some(b"ID3\x03")) => {
                    assert!(body[6..10].iter().all(|byte| *byte < 0x80));
                    assert_eq!(
                        body[6..10].iter().fold(0, |size, byte| size << 7 | usize::from(*byte)),
                        body.len() - 10
                    );
                    let mut rest = &body[10..];
                    while !rest.is_empty() {
                        let size = u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
                        let id = String::from_utf8(rest[..4].to_vec()).unwrap();
                        let (encoding, mut text) = (rest[10], &rest[11..10 + size]);
                        if id == "COMM" {
                            let empty: &[u8] = if encoding == 0 { b"eng\0" } else { b"eng\xff\xfe\0\0" };
                            text = text.strip_prefix(empty).unwrap();
                        }
                        found.push(format!("{id}={}", decoded(encoding, text)));
                        rest = &rest[10 + size..];
                    }
                }
                _ => panic!("unexpected chunk {id}"),
            }
        }
        found
    }

    fn tags(title: &str, artist: &str, bpm: f64, key: &str, comment: &str) -> Tags {
        let [title, artist, key, comment] = [title, artist, key, comment].map(str::to_owned);
        Tags { title, artist, bpm: Some(bpm), key, comment }
    }

    fn cue(frame: u32, label: &str) -> CuePoint {
        CuePoint { frame, label: label.to_owned() }
    }

    #[test]
    fn all_fields_and_cue_points_can_be_read_back() {
        let tags = tags("Größe \"日本語\" 🎧", "AC/DC", 122.0, "C#m", "cut 1–2 of x.wav\r\nat speed 1");
        let expected = [
            "INAM=Größe \"日本語\" 🎧",
            "IART=AC/DC",
            "ICMT=cut 1–2 of x.wav at speed 1",
            "cue 1=0",
            "cue 2=44100",
            "cue 3=4294967295",
            "labl 1=begin",
            "labl 3=Ende ö",
            "TIT2=Größe \"日本語\" 🎧",
            "TPE1=AC/DC",
            "TBPM=122",
            "TKEY=C#m",
            "COMM=cut 1–2 of x.wav\nat speed 1",
        ];
        assert_eq!(read(&wav_chunks(&tags, &[cue(0, "begin"), cue(44_100, " "), cue(u32::MAX, "Ende ö")])), expected);
    }

    #[test]
    fn what_is_empty_is_left_out() {
        assert!(wav_chunks(&Tags::default(), &[]).is_empty());
        assert!(wav_chunks(&tags(" ", "\n", f64::NAN, "", "\0"), &[]).is_empty());
        assert_eq!(read(&wav_chunks(&Tags::default(), &[cue(7, "")])), ["cue 1=7"]);
        assert_eq!(read(&wav_chunks(&tags("", "", 98.5, "", ""), &[])), ["TBPM=98.5"]);
        assert_eq!(read(&wav_chunks(&tags("", "", -1.0, "C minor", "c"), &[])), ["ICMT=c", "COMM=c"]);
    }

    #[test]
    fn a_tempo_has_as_few_decimals_as_possible() {
        let text = |bpm| Tags { bpm: Some(bpm), ..Tags::default() }.bpm_text();
        assert_eq!([122.0, 122.4, 121.999_96, 100.0 / 3.0].map(text), ["122", "122.4", "122", "33.333"]);
        assert_eq!([0.0, 0.000_4, -3.0, 1e300, f64::INFINITY, f64::NAN].map(text), [""; 6]);
        assert_eq!(Tags::default().bpm_text(), "");
    }

    #[test]
    fn texts_have_one_line_no_control_characters_and_at_most_1000_characters() {
        let tags = tags(" a\r\nb\0c\u{7f}\u{85}d ", &"🎧".repeat(5000), 1.0, "A\tm", "a\0b\tc\rd\n\n");
        let cleaned = tags.cleaned();
        assert_eq!(
            (cleaned.title.as_str(), cleaned.key.as_str(), cleaned.comment.as_str()),
            ("a b c d", "A m", "ab c\nd")
        );
        assert_eq!(cleaned.artist, "🎧".repeat(1000));
        let long = vec![cue(1, &"🎧".repeat(5000)); 5000];
        let chunks = wav_chunks(&tags, &long);
        assert!(chunks.len() < 6_000_000 && chunks.len().is_multiple_of(2));
        assert_eq!(read(&chunks).iter().filter(|found| found.starts_with("labl")).count(), 1000);
    }
}
