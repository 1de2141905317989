//! DJ plans as their files say: a JSON object of sections, each of them with its stems.
//!
//! The older generator writes `theme`, `base_song`, `base_key`, `base_bpm`, `structure` and `sections`; a section has
//! `type` and `stems`, and a stem `song`, `file`, `bpm`, `key`, `pitch_shift` (a rate, whatever its name says) and
//! `needs_timestretch`. A section may also have `bars`, `seconds`, `gain` and `fade`, and a stem `start`, `end`,
//! `volume` and `loop`, which the older executor ignored. Other fields are ignored; null counts as missing, except for
//! `pitch_shift`.

use super::json::{self, Level, Object, Value};
use super::order::in_order;
use super::remarks::{Remarks, number, shown};

/// Maximum size of a plan's file in bytes.
const MOST_BYTES: usize = 16 << 20;
/// Maximum number of sections.
const MOST_SECTIONS: usize = 1000;
/// Maximum number of stems of a section.
const MOST_STEMS: usize = 64;
/// Least and greatest BPM of a plan or a stem.
const LEAST_BPM: f64 = 20.0;
const MOST_BPM: f64 = 400.0;
/// Least and greatest rate of a stem.
pub(super) const LEAST_RATE: f64 = 0.25;
pub(super) const MOST_RATE: f64 = 4.0;
/// Maximum of a volume or a gain, as of the engine's stems.
pub(super) const MOST_VOLUME: f64 = 4.0;
/// How far `pitch_shift` may be from the ratio of the BPMs without a remark.
const RATE_TOLERANCE: f64 = 0.005;

/// What is kept of a file, from the outermost object to the stems.
const LEVELS: &[Level] = &[
    Level { names: Some(&["theme", "base_song", "base_key", "base_bpm", "structure", "sections"]), most: usize::MAX },
    Level { names: None, most: MOST_SECTIONS },
    Level { names: Some(&["type", "stems", "bars", "seconds", "gain", "fade"]), most: usize::MAX },
    Level { names: None, most: MOST_STEMS },
    Level {
        names: Some(&[
            "song",
            "file",
            "bpm",
            "key",
            "pitch_shift",
            "needs_timestretch",
            "start",
            "end",
            "volume",
            "loop",
        ]),
        most: usize::MAX,
    },
];

/// A DJ plan as its file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Theme, such as `energetic`; may be empty.
    pub theme: String,
    /// Name of the song that gives the tempo; may be empty.
    pub base_song: String,
    /// Key of that song, as written; may be empty.
    pub base_key: String,
    /// Tempo, 20 to 400 BPM; `None` if unknown.
    pub base_bpm: Option<f64>,
    /// The types of the sections as the file lists them; only for display.
    pub structure: Vec<String>,
    /// The sections in order of play; at least one.
    pub sections: Vec<Section>,
    /// What is unusual about the plan, one sentence each: at most 100, and how many more there were.
    pub remarks: Vec<String>,
    /// How many remarks there were beyond those.
    pub(super) more_remarks: usize,
}

/// A section of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its key, such as `00_intro`.
    pub key: String,
    /// Its type, such as `intro`, or `unknown`.
    pub kind: String,
    /// The stems in the order of the file.
    pub stems: Vec<Stem>,
    /// The stems that cannot be played, whatever there is on the disk: name and reason.
    pub faults: Vec<(String, String)>,
    /// Length in bars, more than 0; `None` if not given.
    pub bars: Option<f64>,
    /// Length in seconds, more than 0; `None` if not given.
    pub seconds: Option<f64>,
    /// Gain of all its stems, linear, 0 to 4.
    pub gain: f64,
    /// Duration of the fade at its end in beats, 0 or more; `None` if not given.
    pub fade: Option<f64>,
}

/// A stem of a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Stem {
    /// Its name, such as `drums`.
    pub name: String,
    /// Name of the song that it comes from.
    pub song: String,
    /// Its file as written; not empty.
    pub file: String,
    /// Tempo of the song, 20 to 400 BPM; `None` if unknown.
    pub bpm: Option<f64>,
    /// Key of the song as written; may be empty.
    pub key: String,
    /// Playback rate, 0.25 to 4.
    pub rate: f64,
    /// Whether the plan wants it stretched rather than played faster or slower.
    pub needs_stretch: bool,
    /// Where it begins, in seconds of the file; may lie outside it.
    pub start: f64,
    /// Where it ends, in seconds of the file; may lie outside it. `None`: where the file does.
    pub end: Option<f64>,
    /// Volume, linear, 0 to 4; `None` if not given.
    pub volume: Option<f64>,
    /// Whether it is repeated; `None` if not given.
    pub looped: Option<bool>,
}

impl Plan {
    /// Parses the content of a plan's file.
    ///
    /// # Errors
    /// If it is too large or not JSON, if it, its sections or its structure are something else than they should be, or
    /// if it has no sections or too many sections or stems; the message says what is expected.
    pub fn parse(bytes: &[u8]) -> Result<Plan, String> {
        if bytes.len() > MOST_BYTES {
            return Err(format!("it is larger than {} MiB", MOST_BYTES >> 20));
        }
        let root = match json::read(bytes, LEVELS)? {
            Value::Object(root) => root,
            other => return Err(format!("it is {other}, expected an object")),
        };
        let structure = structure(&root)?;
        let written = match root.get("sections") {
            Some(Value::Object(sections)) => sections,
            None if root.has("sections") => return Err("sections is null, expected an object".into()),
            None => return Err("it has no sections".into()),
            Some(other) => return Err(format!("sections is {other}, expected an object")),
        };
        if written.entries.is_empty() {
            return Err("it has no sections".into());
        }
        if written.has_more {
            return Err(format!("it has more than {MOST_SECTIONS} sections"));
        }

        let mut remarks = Remarks::default();
        let mut fields = Fields { object: &root, subject: String::new(), remarks: &mut remarks };
        fields.say_repeated();
        let (theme, base_song, base_key) = (fields.text("theme"), fields.text("base_song"), fields.text("base_key"));
        let base_bpm = fields.number("base_bpm", is_bpm, BPM, "taken as unknown");
        if root.get("base_bpm").is_none() {
            remarks.add("base_bpm is missing: the clock's BPM is taken");
        }
        Fields { object: written, subject: "sections: ".into(), remarks: &mut remarks }.say_repeated();
        if !structure.is_empty() && structure.len() != written.entries.len() {
            let (listed, there) = (structure.len(), written.entries.len());
            remarks.add(format!("structure and sections differ in number, {listed} and {there}; sections count"));
        }
        let in_order = in_order(&written.entries, &mut remarks);
        let sections = in_order.into_iter().map(|(key, value)| Section::of(key, value, base_bpm, &mut remarks));
        let sections = sections.collect::<Result<_, _>>()?;
        let (remarks, more_remarks) = remarks.finished();
        Ok(Plan { theme, base_song, base_key, base_bpm, structure, sections, remarks, more_remarks })
    }
}

impl Section {
    fn of(key: &str, value: &Value, base_bpm: Option<f64>, remarks: &mut Remarks) -> Result<Section, String> {
        let (subject, nothing) = (format!("{}: ", shown(key)), Object::default());
        let object = match value {
            Value::Object(object) => object,
            other => {
                remarks.add(format!("{subject}it is {other}, expected an object; taken as empty"));
                &nothing
            }
        };
        let mut fields = Fields { object, subject, remarks };
        fields.say_repeated();
        let kind = Some(fields.text("type")).filter(|kind| !kind.is_empty()).unwrap_or_else(|| "unknown".into());
        let mut section = Section {
            key: key.into(),
            kind,
            stems: Vec::new(),
            faults: Vec::new(),
            bars: fields.number("bars", |bars| bars > 0.0, "more than 0", "ignored"),
            seconds: fields.number("seconds", |seconds| seconds > 0.0, "more than 0", "ignored"),
            gain: fields.number("gain", is_volume, VOLUME, "taken as 1").unwrap_or(1.0),
            fade: fields.number("fade", |beats| beats >= 0.0, "beats, 0 or more", "ignored"),
        };
        if section.bars.is_some() && section.seconds.is_some() {
            fields.say("it has bars and seconds; bars count");
        }
        let stems = match object.get("stems") {
            Some(Value::Object(stems)) => stems,
            None => &nothing,
            Some(other) => {
                fields.say(format!("stems is {other}, expected an object; taken as empty"));
                &nothing
            }
        };
        if stems.has_more {
            return Err(format!("{}: it has more than {MOST_STEMS} stems", shown(key)));
        }
        Fields { object: stems, subject: format!("{}: stems: ", shown(key)), remarks }.say_repeated();
        for (name, value) in &stems.entries {
            let subject = format!("{}, {}: ", shown(key), shown(name));
            match Stem::of(name, value, base_bpm, subject, remarks) {
                Ok(stem) => section.stems.push(stem),
                Err(why) => section.faults.push((name.clone(), why)),
            }
        }
        Ok(section)
    }
}

impl Stem {
    /// Reads a stem, or returns why it cannot be played.
    fn of(
        name: &str,
        value: &Value,
        base_bpm: Option<f64>,
        subject: String,
        remarks: &mut Remarks,
    ) -> Result<Stem, String> {
        let Value::Object(object) = value else { return Err(format!("it is {value}, expected an object")) };
        let text = |name: &str, what: &str| match object.get(name) {
            Some(Value::Text(text)) => Ok(text.clone()),
            Some(other) => Err(format!("{name} is {other}, expected {what}")),
            None if object.has(name) => Err(format!("{name} is null, expected {what}")),
            None => Err(format!("{name} is missing, expected {what}")),
        };
        let file = text("file", "the path of a sound")?;
        if file.trim().is_empty() {
            return Err("file is empty, expected the path of a sound".into());
        }
        let song = text("song", "the name of a song")?;
        let mut fields = Fields { object, subject, remarks };
        fields.say_repeated();
        let rate = fields.rate()?;
        let stem = Stem {
            name: name.into(),
            song,
            file,
            bpm: fields.number("bpm", is_bpm, BPM, "taken as unknown"),
            key: fields.text("key"),
            rate,
            needs_stretch: fields.flag("needs_timestretch").unwrap_or(false),
            start: fields.number("start", |_| true, "seconds", "taken as 0").unwrap_or(0.0),
            end: fields.number("end", |_| true, "seconds", "ignored"),
            volume: fields.number("volume", is_volume, VOLUME, "ignored"),
            looped: fields.flag("loop"),
        };
        if let (Some(base), Some(bpm)) = (base_bpm, stem.bpm)
            && (rate / (base / bpm) - 1.0).abs() > RATE_TOLERANCE
        {
            let is = if object.has("pitch_shift") { "is" } else { "is missing and counts as" };
            let (rate, ratio) = (number(rate), (base / bpm * 1e5).round() / 1e5);
            fields.say(format!("pitch_shift {is} {rate}, but base_bpm / bpm is {ratio}; pitch_shift counts"));
        }
        Ok(stem)
    }
}

const BPM: &str = "20 to 400 beats per minute";
const VOLUME: &str = "0 to 4";

fn is_bpm(value: f64) -> bool {
    (LEAST_BPM..=MOST_BPM).contains(&value)
}

fn is_volume(value: f64) -> bool {
    (0.0..=MOST_VOLUME).contains(&value)
}

/// Reads the types of the sections.
fn structure(root: &Object) -> Result<Vec<String>, String> {
    match root.get("structure") {
        None if root.has("structure") => Err("structure is null, expected a list of texts".into()),
        None => Ok(Vec::new()),
        Some(Value::List(list)) if list.is_mixed => Err("structure is not a list of texts only".into()),
        Some(Value::List(list)) if list.has_more => Err(format!("structure lists more than {MOST_SECTIONS} sections")),
        Some(Value::List(list)) => Ok(list.texts.clone()),
        Some(other) => Err(format!("structure is {other}, expected a list of texts")),
    }
}

/// The fields of an object, and what is said about them.
struct Fields<'a> {
    object: &'a Object,
    /// Beginning of a remark: empty, or a name with a colon.
    subject: String,
    remarks: &'a mut Remarks,
}

impl Fields<'_> {
    fn say(&mut self, what: impl AsRef<str>) {
        self.remarks.add(format!("{}{}", self.subject, what.as_ref()));
    }

    fn say_repeated(&mut self) {
        if let Some(name) = &self.object.repeated {
            self.say(format!("{} is there more than once; the last one counts", shown(name)));
        }
    }

    /// Returns a text; empty if it is missing or something else.
    fn text(&mut self, name: &str) -> String {
        match self.object.get(name) {
            None => String::new(),
            Some(Value::Text(text)) => text.clone(),
            Some(other) => {
                self.say(format!("{name} is {other}, expected text; taken as empty"));
                String::new()
            }
        }
    }

    /// Returns a number, or a text that is one.
    fn number(&mut self, name: &str, is_good: fn(f64) -> bool, expected: &str, otherwise: &str) -> Option<f64> {
        let value = self.object.get(name)?;
        let number = as_number(value).filter(|number| is_good(*number));
        if number.is_none() {
            self.say(format!("{name} is {value}, expected {expected}; {otherwise}"));
        }
        number
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        match self.object.get(name)? {
            Value::Bool(value) => Some(*value),
            other => {
                self.say(format!("{name} is {other}, expected true or false; ignored"));
                None
            }
        }
    }

    /// Returns the rate, or why the stem cannot be played.
    fn rate(&mut self) -> Result<f64, String> {
        let value = match self.object.get("pitch_shift") {
            Some(value) => value,
            None if self.object.has("pitch_shift") => &Value::Null,
            None => return Ok(1.0),
        };
        let rate = as_number(value).filter(|rate| (LEAST_RATE..=MOST_RATE).contains(rate));
        let rate = rate.ok_or_else(|| format!("pitch_shift is {value}, expected {LEAST_RATE} to {MOST_RATE}"))?;
        if let Value::Text(_) = value {
            self.say(format!("pitch_shift is text, {value}, expected a number; taken as {}", number(rate)));
        }
        Ok(rate)
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::samples;

    fn plan(text: &str) -> Plan {
        Plan::parse(text.as_bytes()).unwrap()
    }

    fn keys(plan: &Plan) -> Vec<&str> {
        plan.sections.iter().map(|section| section.key.as_str()).collect()
    }

    /// Returns the plan of a section that is played at 120 BPM.
    fn section(fields: &str) -> Plan {
        plan(&format!("{{\"base_bpm\": 120, \"sections\": {{\"a\": {fields}}}}}"))
    }

    /// Returns what is said about a stem: faults, remarks.
    fn said(fields: &str) -> (String, String) {
        let plan = section(&format!("{{\"stems\": {{\"bass\": {{\"song\": \"S\", \"file\": \"b.wav\"{fields}}}}}}}"));
        let faults: Vec<_> = plan.sections[0].faults.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        assert_eq!(plan.sections[0].stems.len() + faults.len(), 1);
        (faults.join("\n"), plan.remarks.join("\n"))
    }

    #[test]
    fn the_generators_plans_are_read() {
        let plan = Plan::parse(samples::energetic().as_bytes()).unwrap();
        assert_eq!((plan.theme.as_str(), plan.base_song.as_str()), ("energetic", "Paper Moon (demo 2)"));
        assert_eq!((plan.base_bpm, plan.structure.len(), plan.sections.len()), (Some(140.0), 8, 8));
        assert_eq!(plan.remarks, [""; 0]);
        let section = &plan.sections[4];
        assert_eq!((section.key.as_str(), section.kind.as_str(), section.gain), ("04_bridge", "bridge", 1.0));
        let names: Vec<_> = section.stems.iter().map(|stem| stem.name.as_str()).collect();
        assert_eq!(names, ["bass", "drums", "other", "piano", "vocals"]);
        let stem = &section.stems[0];
        assert_eq!((stem.song.as_str(), stem.bpm), ("Low Tide (demo 1)", Some(143.0)));
        assert_eq!(stem.file, "../stems/Low Tide (demo 1)/bass.wav");
        assert_eq!((stem.rate, stem.needs_stretch, stem.start, stem.end), (140.0 / 143.0, false, 0.0, None));
        for other in [samples::chill(), samples::dramatic()] {
            let plan = Plan::parse(other.as_bytes()).unwrap();
            assert_eq!((plan.sections.len(), plan.remarks.len()), (7, 0));
        }
    }

    #[test]
    fn what_may_go_wrong_is_named() {
        let plan = plan(samples::ODD);
        assert_eq!(keys(&plan), ["00_Intro", "01_verse", "02_empty", "03_none", "04_no file", "9_late", "10_outro"]);
        assert_eq!(
            plan.remarks,
            [
                "structure and sections differ in number, 3 and 7; sections count",
                "sections are played by number, not by text: 9_late comes before 10_outro",
                "00_Intro, bass: pitch_shift is 1.25, but base_bpm / bpm is 1.005; pitch_shift counts",
                "01_verse, fx: pitch_shift is text, '0.5', expected a number; taken as 0.5",
                "01_verse, fx: pitch_shift is 0.5, but base_bpm / bpm is 1.005; pitch_shift counts",
            ]
        );
        let verse = &plan.sections[1];
        let names: Vec<_> = verse.stems.iter().map(|stem| stem.name.as_str()).collect();
        assert_eq!(names, ["drums", "vocals", "piano", "fx"]);
        let fault = |name: &str, why: &str| (name.to_string(), why.to_string());
        assert_eq!(
            verse.faults,
            [
                fault("other", "pitch_shift is null, expected 0.25 to 4"),
                fault("bass", "pitch_shift is 0, expected 0.25 to 4"),
            ]
        );
        assert_eq!(plan.sections[4].faults, [fault("bass", "file is missing, expected the path of a sound")]);
        assert_eq!((plan.sections[0].kind.as_str(), plan.base_key.as_str()), ("unknown", ""));
        assert!(plan.sections[2].stems.is_empty() && plan.sections[3].stems.is_empty());
    }

    #[test]
    fn a_file_that_is_no_plan_is_refused() {
        for (text, fault) in [
            ("[]", "it is a list, expected an object"),
            ("\u{feff}null", "it is null, expected an object"),
            ("{}", "it has no sections"),
            (r#"{"sections": {}}"#, "it has no sections"),
            (r#"{"sections": []}"#, "sections is a list, expected an object"),
            (r#"{"sections": null}"#, "sections is null, expected an object"),
            (r#"{"sections": {"a": {}}, "structure": null}"#, "structure is null, expected a list of texts"),
            (r#"{"sections": {"a": {}}, "structure": "intro"}"#, "structure is 'intro', expected a list of texts"),
            (r#"{"sections": {"a": {}}, "structure": ["a", 1]}"#, "structure is not a list of texts only"),
            ("{\n\"sections\": {\"a\": nul}}", "it is not JSON: line 2, column 22: expected ident"),
            ("", "it is not JSON: line 1, column 0: EOF while parsing a value"),
        ] {
            assert_eq!(Plan::parse(text.as_bytes()).unwrap_err(), fault, "{text}");
        }
        assert_eq!(Plan::parse(&vec![b' '; MOST_BYTES + 1]).unwrap_err(), "it is larger than 16 MiB");
        let sections: Vec<_> = (0..=MOST_SECTIONS).map(|k| format!("\"{k}_a\": {{}}")).collect();
        let text = |count: usize| format!("{{\"sections\": {{{}}}}}", sections[..count].join(","));
        assert_eq!(Plan::parse(text(1001).as_bytes()).unwrap_err(), "it has more than 1000 sections");
        let most = plan(&text(1000));
        assert_eq!((keys(&most)[2], most.sections.len()), ("2_a", 1000));
        let stems: Vec<_> = (0..=MOST_STEMS).map(|k| format!("\"{k}\": {{}}")).collect();
        let text =
            |count: usize| format!("{{\"sections\": {{\"a\": {{\"stems\": {{{}}}}}}}}}", stems[..count].join(","));
        assert_eq!(Plan::parse(text(65).as_bytes()).unwrap_err(), "a: it has more than 64 stems");
        assert_eq!(plan(&text(64)).sections[0].faults.len(), 64);
        let text = format!("{{\"sections\": {{\"a\": {{}}}}, \"structure\": [{}\"\"]}}", "\"\",".repeat(1000));
        assert_eq!(Plan::parse(text.as_bytes()).unwrap_err(), "structure lists more than 1000 sections");
    }

    #[test]
    fn fields_that_are_something_else_are_named() {
        assert_eq!(said(""), Default::default());
        assert_eq!(said(r#", "bpm": "120", "key": null, "end": "3.5", "needs_timestretch": true"#), Default::default());
        for (fields, fault) in [
            (r#", "pitch_shift": null"#, "bass: pitch_shift is null, expected 0.25 to 4"),
            (r#", "pitch_shift": "fast""#, "bass: pitch_shift is 'fast', expected 0.25 to 4"),
            (r#", "pitch_shift": "nan""#, "bass: pitch_shift is 'nan', expected 0.25 to 4"),
            (r#", "pitch_shift": "inf""#, "bass: pitch_shift is 'inf', expected 0.25 to 4"),
            (r#", "pitch_shift": 1e300"#, "bass: pitch_shift is 1e300, expected 0.25 to 4"),
            (r#", "pitch_shift": 0.2499"#, "bass: pitch_shift is 0.2499, expected 0.25 to 4"),
            (r#", "pitch_shift": true"#, "bass: pitch_shift is true, expected 0.25 to 4"),
            (r#", "file": " ""#, "bass: file is empty, expected the path of a sound"),
            (r#", "file": ["b.wav"]"#, "bass: file is a list, expected the path of a sound"),
            (r#", "song": null"#, "bass: song is null, expected the name of a song"),
            (r#", "song": 7"#, "bass: song is 7, expected the name of a song"),
        ] {
            assert_eq!(said(fields).0, fault, "{fields}");
        }
        for (fields, remark) in [
            (r#", "bpm": 0"#, "a, bass: bpm is 0, expected 20 to 400 beats per minute; taken as unknown"),
            (r#", "volume": -1"#, "a, bass: volume is -1, expected 0 to 4; ignored"),
            (r#", "start": "x\ty""#, "a, bass: start is 'x?y', expected seconds; taken as 0"),
            (r#", "loop": "yes""#, "a, bass: loop is 'yes', expected true or false; ignored"),
            (r#", "key": 8"#, "a, bass: key is 8, expected text; taken as empty"),
            (
                r#", "bpm": 100"#,
                "a, bass: pitch_shift is missing and counts as 1, but base_bpm / bpm is 1.2; pitch_shift counts",
            ),
            (r#", "song": "T""#, "a, bass: song is there more than once; the last one counts"),
        ] {
            assert_eq!(said(fields), (String::new(), remark.into()), "{fields}");
        }
        // Half a percent is no disagreement.
        assert_eq!(said(r#", "bpm": 120, "pitch_shift": 1.00499"#).1, "");
        assert_ne!(said(r#", "bpm": 120, "pitch_shift": 1.00501"#).1, "");
        assert_eq!(plan(r#"{"sections": {"a": {}}}"#).remarks, ["base_bpm is missing: the clock's BPM is taken"]);
        let plan = plan(r#"{"base_bpm": 401, "theme": 5, "structure": ["x"], "sections": {"a": {}}}"#);
        assert_eq!(
            plan.remarks,
            [
                "theme is 5, expected text; taken as empty",
                "base_bpm is 401, expected 20 to 400 beats per minute; taken as unknown",
            ]
        );
    }

    #[test]
    fn sections_that_are_something_else_are_empty() {
        for (fields, remark) in [
            ("null", "a: it is null, expected an object; taken as empty"),
            ("[{}]", "a: it is a list, expected an object; taken as empty"),
            (r#"{"stems": [{}]}"#, "a: stems is a list, expected an object; taken as empty"),
            (r#"{"type": 5}"#, "a: type is 5, expected text; taken as empty"),
            (r#"{"bars": 0}"#, "a: bars is 0, expected more than 0; ignored"),
            (r#"{"bars": -1e300}"#, "a: bars is -1e300, expected more than 0; ignored"),
            (r#"{"seconds": "long"}"#, "a: seconds is 'long', expected more than 0; ignored"),
            (r#"{"bars": 1, "seconds": 1}"#, "a: it has bars and seconds; bars count"),
            (r#"{"gain": 4.5}"#, "a: gain is 4.5, expected 0 to 4; taken as 1"),
            (r#"{"fade": -1}"#, "a: fade is -1, expected beats, 0 or more; ignored"),
        ] {
            let plan = section(fields);
            assert_eq!(plan.remarks, [remark], "{fields}");
            let section = &plan.sections[0];
            assert_eq!((section.kind.as_str(), section.stems.len(), section.gain), ("unknown", 0, 1.0));
        }
        let section =
            &section(r#"{"bars": 1e300, "gain": "0.5", "fade": 2, "stems": {"x": [], "y": null}}"#).sections[0];
        assert_eq!((section.bars, section.gain, section.fade), (Some(1e300), 0.5, Some(2.0)));
        assert_eq!(section.faults[0], ("x".into(), "it is a list, expected an object".into()));
        assert_eq!(section.faults[1], ("y".into(), "it is null, expected an object".into()));
    }

    #[test]
    fn remarks_are_limited_and_printable() {
        let sections: Vec<_> = (0..300).map(|k| format!("\"{k:03}_\\u001b[31m\\n{}\": []", "x".repeat(99))).collect();
        let plan = plan(&format!("{{\"base_bpm\": 120, \"sections\": {{{}}}}}", sections.join(",")));
        assert_eq!((plan.remarks.len(), plan.remarks[100].as_str()), (101, "200 more"));
        let all = plan.remarks.concat();
        assert!(all.starts_with("000_?[31m?xxx") && !all.contains(char::is_control));
        assert!(plan.remarks.iter().all(|remark| remark.chars().count() < 100));
        assert!(plan.sections[0].key.starts_with("000_\u{1b}[31m\n"));
    }
}
