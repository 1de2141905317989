//! The table of exported parts (CSV).

/// The header; the columns' places are used below.
pub const HEADER: &str = "path,bpm,key,target_bpm,speed,ini_cue,begin_cue,end_cue,begin_cue_adj,end_cue_adj,\
                          duration_orig,duration_sectioned,part_file_orig,part_file";
pub const DURATION_ORIG: usize = 10;
const DURATION_SECTIONED: usize = 11;
pub const PART_FILES: [usize; 2] = [12, 13];

/// By how many hundredths of a second the parts of the older exporter may be shorter or longer.
const TOLERANCE: i64 = 3;

/// A field as written, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    raw: String,
    pub text: String,
}

/// A table: header and rows.
#[derive(Clone, Debug)]
pub struct Table {
    lines: Vec<Vec<Field>>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub path: String,
    pub speed: f64,
    /// Times in seconds: end of the intro, beginning and end of the window for mixing out.
    pub cues: [f64; 3],
    pub duration_orig: String,
    pub duration_sectioned: String,
    pub part_orig: String,
    pub part: String,
}

/// Returns the next field from `at` on, and where it ends.
fn field(text: &str, at: usize) -> Result<(Field, usize), String> {
    let rest = &text[at..];
    let (length, said) = if let Some(quoted) = rest.strip_prefix('"') {
        let mut from = 0;
        loop {
            let quote = from + quoted[from..].find('"').ok_or_else(|| format!("an open quote: {rest:?}"))?;
            if !quoted[quote + 1..].starts_with('"') {
                break (quote + 2, quoted[..quote].replace("\"\"", "\""));
            }
            from = quote + 2;
        }
    } else {
        let length = rest.find([',', '\r', '\n', '"']).unwrap_or(rest.len());
        (length, rest[..length].to_string())
    };
    Ok((Field { raw: rest[..length].to_string(), text: said }, at + length))
}

impl Table {
    /// Reads a table whose lines end with CR LF.
    pub fn parse(text: &str) -> Result<Table, String> {
        let (mut lines, mut line, mut at) = (Vec::new(), Vec::new(), 0);
        while at < text.len() {
            let (next, end) = field(text, at)?;
            line.push(next);
            if text[end..].starts_with(',') {
                at = end + 1;
            } else if text[end..].starts_with("\r\n") {
                lines.push(std::mem::take(&mut line));
                at = end + 2;
            } else {
                let behind: String = text[end..].chars().take(12).collect();
                return Err(format!("line {} of the table: {behind:?} follows {:?}", lines.len() + 1, line.last()));
            }
        }
        if !line.is_empty() {
            return Err(format!("the table's last line does not end: {line:?}"));
        }
        Ok(Table { lines })
    }

    /// The rows below the header.
    pub fn rows(&self) -> Result<Vec<Row>, String> {
        let row = |fields: &Vec<Field>| {
            ensure!(fields.len() == 14, "{} fields: {fields:?}", fields.len());
            let number = |k: usize| fields[k].text.parse::<f64>().map_err(|e| format!("{:?}: {e}", fields[k].text));
            Ok(Row {
                path: fields[0].text.clone(),
                speed: number(4)?,
                cues: [number(5)?, number(6)?, number(7)?],
                duration_orig: fields[DURATION_ORIG].text.clone(),
                duration_sectioned: fields[DURATION_SECTIONED].text.clone(),
                part_orig: fields[PART_FILES[0]].text.clone(),
                part: fields[PART_FILES[1]].text.clone(),
            })
        };
        self.lines.iter().skip(1).map(row).collect()
    }

    /// Asserts that this table is `expected` byte for byte, except in the columns `but`, and that the lengths of the
    /// parts agree nearly.
    pub fn is(&self, expected: &Table, but: &[usize]) -> Result<(), String> {
        let paths = |table: &Table| table.lines.iter().skip(1).map(|l| l[0].text.clone()).collect::<Vec<_>>();
        ensure!(paths(self) == paths(expected), "the table's rows are {:?}, not {:?}", paths(self), paths(expected));
        for (got, want) in self.lines.iter().zip(&expected.lines) {
            ensure!(got.len() == want.len(), "{} fields, not {}: {got:?}", got.len(), want.len());
            let path = &want[0].text;
            for (k, (got, want)) in got.iter().zip(want).enumerate().filter(|(k, _)| !but.contains(k)) {
                if k == DURATION_SECTIONED && want.text != "duration_sectioned" {
                    // The older exporter could not read the length of some of its own parts.
                    let Some(length) = hundredths(&got.text) else {
                        ensure!(
                            got.raw.is_empty() && want.raw.is_empty(),
                            "duration_sectioned of {path} is {:?}",
                            got.raw
                        );
                        continue;
                    };
                    let near = hundredths(&want.text).is_none_or(|want| (want - length).abs() <= TOLERANCE);
                    ensure!(near, "duration_sectioned of {path} is {}, not {}", got.raw, want.raw);
                } else {
                    let column = HEADER.split(',').nth(k).unwrap_or_default();
                    ensure!(got.raw == want.raw, "{column} of {path} is {:?}, not {:?}", got.raw, want.raw);
                }
            }
        }
        Ok(())
    }
}

/// Reads a duration `M:SS.ss`, in hundredths of a second; `None` if it is not written so.
pub fn hundredths(text: &str) -> Option<i64> {
    let (minutes, rest) = text.split_once(':')?;
    let (seconds, fraction) = rest.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits(minutes) && digits(seconds) && digits(fraction);
    let padded = seconds.len() == 2 && fraction.len() == 2 && (minutes == "0" || !minutes.starts_with('0'));
    let [m, s, f]: [i64; 3] = [minutes.parse().ok()?, seconds.parse().ok()?, fraction.parse().ok()?];
    (plain && padded && s < 60).then_some((m * 60 + s) * 100 + f)
}

/// Writes a duration.
pub fn duration(seconds: f64) -> String {
    let hundredths = (seconds * 100.0).round() as i64;
    format!("{}:{:02}.{:02}", hundredths / 6_000, hundredths / 100 % 60, hundredths % 100)
}

/// A row in full, for tracks that the older exporter did not get to: the path, BPM, target and cues of a track without
/// key, whose part is named `name`.
pub fn row(path: &str, name: &str, bpm: f64, target: f64, cues: [f64; 3]) -> String {
    let [ini, begin, end] = cues;
    let speed = target / bpm;
    let (begin_adj, end_adj) = ((begin - ini) / speed, (end - ini) / speed);
    let (length, part_length) = (duration(end - ini), duration(end_adj));
    format!(
        "{path},{bpm:?},,{target:?},{speed:?},{ini:?},{begin:?},{end:?},{begin_adj:?},{end_adj:?},{length},{part_length},\
         parts/orig/{name}_sectioned.wav,parts/{name}_sectioned.wav\r\n"
    )
}
