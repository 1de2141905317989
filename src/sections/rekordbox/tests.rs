//! Tests of whole documents.

use super::*;

/// Returns a document as Rekordbox writes it, with these elements in its collection.
fn document(tracks: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<DJ_PLAYLISTS Version=\"1.0.0\">\n  <PRODUCT Name=\"rekordbox\" \
         Version=\"6.7.3\" Company=\"AlphaTheta\"/>\n  <COLLECTION Entries=\"1\">\n{tracks}\n  </COLLECTION>\n  \
         <PLAYLISTS>\n    <NODE Type=\"0\" Name=\"ROOT\" Count=\"1\">\n      <TRACK Key=\"1\"/>\n    </NODE>\n  \
         </PLAYLISTS>\n</DJ_PLAYLISTS>\n"
    )
}

/// Returns a track in the one line, or three, that it takes in a file.
fn element(name: &str, average: &str, tempos: &[(&str, &str)]) -> String {
    let tempos =
        tempos.iter().map(|(at, bpm)| format!("\n<TEMPO Inizio=\"{at}\" Bpm=\"{bpm}\" Metro=\"4/4\" Battito=\"1\"/>"));
    format!(
        "    <TRACK TrackID=\"7\" Name=\"{name}\" Artist=\"b\" Kind=\"WAV File\" TotalTime=\"60\" {average} \
         Location=\"file://localhost/music/{name}.wav\" Tonality=\" Gm \">{}\n    </TRACK>",
        tempos.collect::<String>()
    )
}

fn parse(text: &str) -> Collection {
    Collection::parse(text.as_bytes()).unwrap()
}

fn fault(text: &str) -> String {
    Collection::parse(text.as_bytes()).unwrap_err().to_string()
}

/// Names and BPMs of the tracks of a document.
fn bpms(collection: &Collection) -> Vec<(&str, Option<f64>)> {
    collection.tracks.iter().map(|track| (&*track.name, track.bpm)).collect()
}

#[test]
fn a_track_is_read_with_its_grid_and_marks() {
    let found = parse(&document(
        r#"    <TRACK TrackID="x1" Name="rock &amp; roll" Artist="caf&#xE9;" TotalTime="60.5"
           AverageBpm="122.00" Location="file://localhost/a%20&amp;.wav" Tonality=" F#m ">
      <TEMPO Inizio="30.025" Bpm="124.00" Metro="3/4" Battito="3"/>
      <TEMPO Inizio="0.025" Bpm="120.00" Metro="4/4" Battito="1"/>
      <POSITION_MARK Name="" Type="0" Start="0.025" Num="-1"/>
      <POSITION_MARK Name="A &lt;" Type="4" Start="10" End="12.5" Num="0" Red="40"/>
      <POSITION_MARK Type=" 3" Start="1"><x><TEMPO Inizio="1" Bpm="1"/></x></POSITION_MARK>
      <OTHER><TEMPO Inizio="1" Bpm="1"/></OTHER>
    </TRACK>"#,
    ));
    let mark = |kind, start, end, number, name: &str| Mark { kind, start, end, number, name: name.into() };
    assert_eq!(found.remarks, [""; 0]);
    assert_eq!(
        found.tracks,
        [Track {
            line: 6,
            id: "x1".into(),
            name: "rock & roll".into(),
            artist: "café".into(),
            location: "file://localhost/a%20&.wav".into(),
            tonality: "F#m".into(),
            bpm: Some(122.0),
            seconds: Some(60.5),
            tempos: vec![
                Tempo { at: 0.025, bpm: 120.0, beats_per_bar: 4, beat: 1 },
                Tempo { at: 30.025, bpm: 124.0, beats_per_bar: 3, beat: 3 },
            ],
            marks: vec![
                mark(MarkKind::Cue, 0.025, None, -1, ""),
                mark(MarkKind::Loop, 10.0, Some(12.5), 0, "A <"),
                mark(MarkKind::Load, 1.0, None, -1, ""),
            ],
        }]
    );
}

#[test]
fn every_spelling_of_a_bpm_is_read_as_before() {
    let average = |bpm: &str| format!("AverageBpm=\"{bpm}\"");
    let tracks = [
        ("01-ordinary", average("122.00"), Some(122.0)),
        ("02-zero", average("0.00"), None),
        ("03-empty", average(""), None),
        ("04-missing", String::new(), None),
        ("05-negative", average("-122"), None),
        ("06-nan", average("nan"), None),
        ("07-twice", average("122.00"), Some(122.0)),
        ("07-twice", average("123.00"), Some(123.0)),
        ("08-twice-second-zero", average("122.00"), Some(122.0)),
        ("08-twice-second-zero", average("0.00"), None),
        ("09-exponent", average("1.22e2"), Some(122.0)),
        ("10-spaces", average(" 122.5 "), Some(122.5)),
        ("11-zero-but-tempo", average("0.00"), None),
        ("12-variable", average("121.40"), Some(121.4)),
        ("13-underscore", average("1_22"), Some(122.0)),
        ("14-many-decimals", average("122.123456789"), Some(122.123456789)),
        ("15-tempo-empty", average("122.00"), Some(122.0)),
        ("16-infinity", average("inf"), None),
    ];
    let grid = |name: &str| -> &[(&str, &str)] {
        match name {
            "11-zero-but-tempo" => &[("0.025", "122.00")],
            "12-variable" => &[("0.025", "120.00"), ("30.025", "124.00")],
            "13-underscore" => &[("0.025", "1_22")],
            "15-tempo-empty" => &[("", "")],
            "02-zero" => &[("0.025", "0.00")],
            _ => &[],
        }
    };
    let elements: Vec<String> = tracks.iter().map(|(name, average, _)| element(name, average, grid(name))).collect();
    let found = parse(&document(&elements.join("\n")));
    assert_eq!(bpms(&found), tracks.iter().map(|(name, _, bpm)| (*name, *bpm)).collect::<Vec<_>>());
    assert_eq!(
        found.remarks,
        [
            "TRACK \"05-negative\" (line 15): AverageBpm is '-122', must be finite and above 0; its BPM is unknown",
            "TRACK \"06-nan\" (line 17): AverageBpm is 'nan', must be finite and above 0; its BPM is unknown",
            "TRACK \"15-tempo-empty\" (line 43): TEMPO in line 44: Inizio is '', must be a decimal number; it is left \
             out",
            "TRACK \"16-infinity\" (line 46): AverageBpm is 'inf', must be finite and above 0; its BPM is unknown",
        ]
    );
    let matcher = Matcher::new(&found, None);
    let find = |name: &str| matcher.find(&format!("/music/{name}.wav"), None).unwrap().track;
    let with_bpm: Vec<&str> =
        tracks.iter().map(|row| row.0).filter(|name| find(name).bpm.is_some()).map(|name| &name[..2]).collect();
    assert_eq!(with_bpm, ["01", "07", "07", "08", "08", "09", "10", "12", "13", "14", "15"]);
    assert_eq!((find("07-twice").bpm, find("08-twice-second-zero").bpm), (Some(123.0), Some(122.0)));
    assert_eq!(find("11-zero-but-tempo").tempo_between(0.0, 60.0), Some(122.0));
    assert_eq!(find("02-zero").tempo_between(0.0, 60.0), None);
    assert_eq!(find("13-underscore").tempo_between(0.0, 60.0), Some(122.0));
    let varying: Vec<&str> = found.tracks.iter().filter(|track| track.varies()).map(|track| &*track.name).collect();
    assert_eq!(varying, ["12-variable"]);
    assert!(matcher.conflicts()[0].contains("TRACK \"07-twice\" (line 19) with 122 BPM, TRACK \"07-twice\" (line 21)"));
    assert_eq!(matcher.conflicts().len(), 1);
}

#[test]
fn a_value_that_cannot_be_read_costs_only_itself() {
    let others = |odd: String| parse(&document(&format!("{odd}\n{}", element("c", "AverageBpm=\"123.00\"", &[]))));
    let found = others(element("a", "AverageBpm=\"122,5\"", &[("0.025", "122,5")]));
    assert_eq!(bpms(&found), [("a", None), ("c", Some(123.0))]);
    assert_eq!(
        found.remarks,
        [
            "TRACK \"a\" (line 6): AverageBpm is '122,5', must be a decimal number; its BPM is unknown",
            "TRACK \"a\" (line 6): TEMPO in line 7: Bpm is '122,5', must be a decimal number; it is left out",
        ]
    );
    let found = others(element("a", "AverageBpm=\"122.00\"", &[("0,025", "122.00"), ("1", "122")]));
    assert_eq!(bpms(&found), [("a", Some(122.0)), ("c", Some(123.0))]);
    assert_eq!(found.tracks[0].tempos.len(), 1);
    let what = "TEMPO in line 7: Inizio is '0,025', must be a decimal number; it is left out";
    assert_eq!(found.remarks, [format!("TRACK \"a\" (line 6): {what}")]);
    let found = others(
        r#"<TRACK TotalTime="1:00" Name="two&#10;lines &x;" Location=" ">
         <TEMPO Inizio="1" Bpm="9" Metro="4-4" Battito="0"/>
         <TEMPO Inizio="inf" Bpm="9"/><TEMPO Inizio="2" Bpm="9"/><POSITION_MARK Type="5" Start="1"/>
         <POSITION_MARK Start="1"/><POSITION_MARK Type="1" Start="x"/>
         <POSITION_MARK Type="2" Start="1" End="x" Num="1.5"/></TRACK>"#
            .into(),
    );
    let place = "TRACK \"two lines &x;\" (line 6): ";
    let expected = [
        "Location is empty; no file is taken for it",
        "Name has the unknown entity '&x;'; it stays as written",
        "TotalTime is '1:00', must be a decimal number; its duration is unknown",
        "TEMPO in line 7: Metro is '4-4', must be like '4/4'; taken as 4/4",
        "TEMPO in line 7: Battito is '0', must be a whole number from 1; taken as 1",
        "TEMPO in line 8: Inizio is 'inf', must be finite; it is left out",
        "POSITION_MARK in line 8: Type is '5', must be a whole number from 0 to 4; it is left out",
        "POSITION_MARK in line 9: Type is '', must be a whole number from 0 to 4; it is left out",
        "POSITION_MARK in line 9: Start is 'x', must be a decimal number; it is left out",
        "POSITION_MARK in line 10: End is 'x', must be a decimal number; its end is unknown",
        "POSITION_MARK in line 10: Num is '1.5', must be a whole number from -1; taken as -1",
    ];
    assert_eq!(found.remarks, expected.map(|what| format!("{place}{what}")));
    let track = &found.tracks[0];
    assert_eq!(track.tempos.iter().map(|tempo| (tempo.beats_per_bar, tempo.beat)).collect::<Vec<_>>(), [(4, 1); 2]);
    assert_eq!(track.marks.len(), 1);
    assert_eq!((track.marks[0].kind, track.marks[0].end, track.marks[0].number), (MarkKind::FadeOut, None, -1));
}

#[test]
fn remarks_do_not_grow_without_limit() {
    let found = parse(&document(&element("a", "AverageBpm=\"x\"", &[("x", "1"); 3000])));
    assert_eq!(found.remarks.len(), 1001);
    assert_eq!(found.remarks[1000], "2001 more remarks are left out");
    let long = parse(&document(&element("a", &format!("AverageBpm=\"{}\"", "é".repeat(1000)), &[])));
    assert!(long.remarks[0].chars().count() < 250 && long.remarks[0].contains("é…'"), "{}", long.remarks[0]);
}

#[test]
fn all_collections_count_and_only_their_own_tracks() {
    let track = |name: &str| format!("<TRACK Name=\"{name}\" AverageBpm=\"122.00\" Location=\"/{name}\"/>");
    let (a, b, c) = (track("a"), track("b"), track("c"));
    let two = parse(&format!("<X><COLLECTION>{a}</COLLECTION><COLLECTION>{b}</COLLECTION></X>"));
    assert_eq!(bpms(&two), [("a", Some(122.0)), ("b", Some(122.0))]);
    let nested = parse(&format!(
        "<X><COLLECTION><GROUP>{a}<COLLECTION>{b}</COLLECTION></GROUP><TRACK Name=\"d\" Location=\"/d\">{b}</TRACK>\
         </COLLECTION><COLLECTION/>{a}<PLAYLISTS><NODE>{c}</NODE></PLAYLISTS></X>"
    ));
    assert_eq!(bpms(&nested), [("d", None)]);
    assert_eq!(nested.remarks, [""; 0]);
    let none = parse("<?xml version=\"1.0\"?>\n<DJ_PLAYLISTS><PLAYLISTS><COLLECTION/></PLAYLISTS></DJ_PLAYLISTS>");
    assert_eq!(none.tracks, []);
    assert_eq!(none.remarks, ["the document has no COLLECTION; no track is known"]);
    assert_eq!(parse("<COLLECTION><TRACK/></COLLECTION>").tracks, []);
}

#[test]
fn namespaces_are_ignored() {
    let track = "AverageBpm=\"122.00\" Location=\"/a\"";
    let default = format!("<X xmlns=\"urn:x\"><COLLECTION><TRACK Name=\"a\" {track}/></COLLECTION></X>");
    let prefixed = format!(
        r#"<r:X xmlns:r="urn:x" xmlns:Name="y"><r:COLLECTION>
           <r:TRACK r:Name="b" xmlns:Name="z" Name="a" {track}><r:TEMPO Inizio="0" Bpm="1"/></r:TRACK>
           </r:COLLECTION></r:X>"#
    );
    assert_eq!(bpms(&parse(&default)), [("a", Some(122.0))]);
    assert_eq!(bpms(&parse(&prefixed)), [("a", Some(122.0))]);
    assert_eq!(parse(&prefixed).tracks[0].tempos.len(), 1);
}

#[test]
fn encodings_give_the_same_collection() {
    let text = document(&element("café 🎵", "AverageBpm=\"122.00\"", &[("0.025", "122.00")]));
    let plain = parse(&text);
    assert_eq!(plain.tracks[0].name, "café 🎵");
    assert_eq!(parse(&format!("\u{feff}{text}")), plain);
    let declared = text.replace("UTF-8", "UTF-16");
    let wide: Vec<u8> = format!("\u{feff}{declared}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(Collection::parse(&wide).unwrap(), plain);
    let bare: Vec<u8> = declared.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(Collection::parse(&bare).unwrap(), plain);
    assert_eq!(parse(&text.replace("\n", "\r\n")), plain);
    // ASCII is the same in every encoding that may be declared, text beyond it is not.
    let latin = text.replace("UTF-8", "ISO-8859-1");
    assert_eq!(fault(&latin), "line 1, column 1: the encoding 'ISO-8859-1' is not supported; must be UTF-8 or UTF-16");
    assert_eq!(parse(&latin.replace("é 🎵", "e")).tracks.len(), 1);
}

#[test]
fn a_document_that_ends_early_is_a_fault() {
    let text = document(&element("a", "AverageBpm=\"122.00\"", &[("0.025", "122.00")]));
    let cut = &text[..text.find("    <NODE").unwrap()];
    assert_eq!(fault(cut), "line 11, column 1: the document ends inside <PLAYLISTS>, which begins in line 10");
    assert_eq!(fault(""), "line 1, column 1: the document has no element");
    assert_eq!(fault("<?xml version=\"1.0\"?>\n"), "line 2, column 1: the document has no element");
    // Wherever else it is cut, too.
    let root = text.find("</DJ_PLAYLISTS>").unwrap() + "</DJ_PLAYLISTS>".len();
    for end in (0..root).filter(|end| text.is_char_boundary(*end)) {
        assert!(Collection::parse(&text.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn faults_say_where_they_are() {
    for (text, expected) in [
        ("<a>\n  <b>\n </c></a>", "line 3, column 2: expected `</b>`, but `</c>` was found"),
        ("<a/>\n</a>", "line 2, column 1: close tag `</a>` does not match any open tag"),
        ("<a>\n<b x=\"1\" x=\"2\"/></a>", "line 2, column 10: an attribute that the tag already has"),
        ("<a b=\"é\" c=\"R & B\"/>", "line 1, column 15: '&' without the ';' that ends a reference"),
        ("<a b=\"1 & 2;\"/>", "line 1, column 9: '&' that does not begin a reference; '&' itself is written '&amp;'"),
        ("<a b=\"<\"/>", "line 1, column 7: '<' in the value of an attribute"),
        ("<a b=\"&#0;\"/>", "line 1, column 7: a reference to a character that XML does not have"),
        ("<a b=1/>", "line 1, column 6: the value of an attribute without quotation marks"),
        ("<a b/>", "line 1, column 5: the name of an attribute without '='"),
        ("<a b=/>", "line 1, column 6: an attribute without a value"),
        ("<a b=\"1\"c=\"2\"/>", "line 1, column 9: the attribute 'c' without a blank before it"),
        ("<a 1b=\"\"/>", "line 1, column 4: '1b' is no name of an attribute"),
        ("<a>\n<b x=\"1/></a>", "line 2, column 1: attribute value not closed: `\"` not found before end of input"),
        ("<a>\n< b/></a>", "line 2, column 1: '<' that does not begin a tag"),
        (
            "<a>x & y</a>",
            "line 1, column 6: entity or character reference not closed: `;` not found before end of input",
        ),
        ("<a>&#x0;</a>", "line 1, column 4: a reference to a character that XML does not have"),
        ("<a/>\n<b/>", "line 2, column 1: a second root element, <b>"),
        ("<a/>\n x", "line 2, column 2: text outside the root element"),
        ("&amp;<a/>", "line 1, column 1: text outside the root element"),
        ("no XML", "line 1, column 1: text outside the root element"),
        ("\n<?xml version=\"1.0\"?><a/>", "line 2, column 1: an XML declaration that is not at the start"),
        ("<a><!DOCTYPE a></a>", "line 1, column 4: a DOCTYPE inside the document"),
        ("<a><!-- x</a>", "line 1, column 4: comment not closed: `-->` not found before end of input"),
        ("<a>\u{1}</a>", "line 1, column 4: the character U+0001 is not allowed in XML"),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
    let text = document(&element("caf@", "AverageBpm=\"122.00\"", &[]));
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'@' { 0xe9 } else { byte }).collect();
    let fault = Collection::parse(&bytes).unwrap_err();
    assert_eq!((fault.line, fault.column), (6, 5 + "<TRACK TrackID=\"7\" Name=\"caf".len() as u64));
    assert_eq!(fault.what, "the byte 0xE9 is not UTF-8");
}

#[test]
fn entities_of_a_document_type_are_not_expanded() {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE X [\n<!ENTITY lol0 \"lol\">\n");
    for level in 1..10 {
        let inside = format!("&lol{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY lol{level} \"{inside}\">\n"));
    }
    text.push_str("<!ENTITY f SYSTEM \"file:///etc/passwd\">\n]>\n<X><COLLECTION>&lol9;");
    text.push_str("<TRACK Name=\"&lol9;\" Artist=\"&f;\" Comments=\"&lol9;\" Location=\"/a\"/></COLLECTION></X>");
    let found = parse(&text);
    assert_eq!((&*found.tracks[0].name, &*found.tracks[0].artist), ("&lol9;", "&f;"));
    assert_eq!(
        found.remarks,
        [
            "TRACK \"&lol9;\" (line 15): Name has the unknown entity '&lol9;'; it stays as written",
            "TRACK \"&lol9;\" (line 15): Artist has the unknown entity '&f;'; it stays as written",
        ]
    );
}

#[test]
fn the_tempo_of_a_section_is_weighted_by_duration() {
    let tempo = |at, bpm| Tempo { at, bpm, beats_per_bar: 4, beat: 1 };
    let track = Track { tempos: vec![tempo(10.0, 120.0), tempo(20.0, 124.0), tempo(40.0, 130.0)], ..Track::default() };
    for (from, to, expected) in [
        (12.0, 18.0, 120.0),
        (15.0, 25.0, 122.0),
        (0.0, 10.0, 120.0),
        (0.0, 30.0, (20.0 * 120.0 + 10.0 * 124.0) / 30.0),
        (50.0, 60.0, 130.0),
        (30.0, 50.0, 127.0),
        (0.0, 80.0, (20.0 * 120.0 + 20.0 * 124.0 + 40.0 * 130.0) / 80.0),
        (20.0, 40.0, 124.0),
        (20.0, 20.0, 124.0),
        (5.0, 5.0, 120.0),
    ] {
        let found = track.tempo_between(from, to).unwrap();
        assert!((found - expected).abs() < 1e-9, "{from} to {to}: {found}");
    }
    for (from, to) in [(2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        assert_eq!(track.tempo_between(from, to), None);
    }
    assert_eq!(Track::default().tempo_between(0.0, 1.0), None);
    // A steady tempo is not changed by rounding.
    let steady = Track { tempos: (0..50).map(|k| tempo(f64::from(k) * 0.7, 122.05)).collect(), ..Track::default() };
    assert_eq!(steady.tempo_between(0.1, 33.3), Some(122.05));
    assert!(track.varies() && !steady.varies() && !Track::default().varies());
    let close = |bpm| Track { tempos: vec![tempo(0.0, 120.0), tempo(1.0, bpm)], ..Track::default() }.varies();
    assert!(!close(120.6) && close(120.61) && !close(119.41) && close(119.3));
}

/// Bytes that a fault of a disk or a pen leaves behind.
#[test]
fn damaged_documents_never_panic() {
    let track = element("café &amp; &x;", "AverageBpm=\"1_22.5e0\"", &[("0.025", "122.00"), ("30", "124")]);
    let mark = "<POSITION_MARK Name=\"&#65;\" Type=\"4\" Start=\"1\" End='2' Num=\"0\"/>";
    let track = track.replace("    </TRACK>", &format!("{mark}<!-- c --><![CDATA[x]]><?p i?></TRACK>"));
    let text =
        document(&track).replace("<DJ", "<!DOCTYPE x [<!ENTITY x \"y\">]>\n<DJ").replacen("music", "%e9%C3%A9", 1);
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let telling = b"<>&;\"'=/!?[]-% #x\n\0\x7f\x80\xc3\xff:.";
    let mut good = 0;
    for round in 0..8_000 {
        let mut bytes = if round % 4 == 0 { wide.clone() } else { text.clone().into_bytes() };
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at] = telling[random(telling.len())],
                2 => bytes.insert(at, telling[random(telling.len())]),
                _ => drop(bytes.drain(at..(at + 1 + random(8)).min(bytes.len()))),
            }
        }
        if let Ok(found) = Collection::parse(&bytes) {
            good += 1;
            let matcher = Matcher::new(&found, None);
            for track in &found.tracks {
                matcher.find(&track.location, track.seconds);
                matcher.find(&track.name, None);
                track.tempo_between(0.0, 60.0);
            }
            assert!(matcher.conflicts().iter().chain(&found.remarks).all(|line| !line.contains('\n')));
        }
    }
    assert!(good > 400, "{good}");
}

#[test]
fn large_collections_are_read_and_searched() {
    let elements: Vec<String> = (0..5_000).map(|k| element(&format!("track {k}"), "AverageBpm=\"122\"", &[])).collect();
    let found = parse(&document(&elements.join("\n")));
    assert_eq!((found.tracks.len(), found.tracks[4_999].line), (5_000, 6 + 2 * 4_999));
    let matcher = Matcher::new(&found, None);
    for k in 0..5_000 {
        let track = matcher.find(&format!("/mnt/music/track {k}.wav"), None).unwrap();
        assert_eq!((track.certainty, &track.track.name), (Certainty::Tail, &format!("track {k}")));
    }
}
