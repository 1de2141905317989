//! Determines which code of the program the audio thread can reach.
//!
//! Code that is not in memory when the audio thread first runs it would be read from the disk. Loading the whole
//! program is safe but wasteful: most of it is inference, decoders and servers, which run on other threads. A page of
//! code is therefore loaded unless everything on it belongs to `ELSEWHERE`, judged by the names in the program's own
//! symbol table. A program without one (stripped) is loaded as a whole.
//!
//! Instances of generics from `core` and `alloc` do not carry the names of their users. The linker keeps code compiled
//! together next to each other, so such a function is treated like its neighbours: it is reachable if the nearest
//! function with a conclusive name on either side is, or if its compilation unit contains reachable code of this crate.
//! The functions of a unit are sorted by name, so a unit begins where the names start again.

use std::ops::Range;

use object::read::elf::{ElfFile64, FileHeader};
use object::{Object, ObjectSection, ObjectSymbol, ReadRef, SectionKind, SymbolKind};

/// Crates of which the audio thread runs nothing, as named in mangled symbols. Everything else counts as reachable.
const ELSEWHERE: &[&str] = &[
    "tract_",
    "ndarray",
    "prost",
    "symphonia",
    "axum",
    "hyper",
    "tokio",
    "tungstenite",
    "tower",
    "clap",
    "toml",
    "serde",
    "ratatui",
    "crossterm",
    "indicatif",
    "midly",
    "prometheus",
    "matchit",
    "httparse",
    "regex",
    "minijinja",
    "liquid",
    "time..",
    "rosc",
    "nom",
    "tracing_subscriber",
    "tracing_journald",
    "smallvec",
    "string_interner",
    "matrixmultiply",
    "half..",
    "kasuari",
    "compact_str",
    "http..",
    "hyper_util",
    "mio..",
    "want..",
    "dyn_clone",
    "downcast_rs",
    "anyhow",
    "itertools",
    "object..",
    "rustix",
    "unicode",
    "primal",
    "transpose",
    "strength_reduce",
    "num_",
    "flate2",
    "tar..",
    "rustfft",
    "realfft",
    "memmap2",
    "rand",
    "unarray",
    "walkdir",
    "paste",
    "gimli",
    "addr2line",
    "miniz_oxide",
    "rustc_demangle",
    "web_audio_api",
    "rusqlite",
    "sqlite3",
    "hrtf",
    "rubato",
    "llq..",
];

/// Modules of this crate of which the audio thread runs nothing, likewise.
const OWN_ELSEWHERE: &[&str] = &[
    "7grooved7control",
    "7grooved6daemon",
    "7grooved6config",
    "7grooved6remote",
    "7grooved4demo",
    "7grooved5media",
    "7grooved4ddsp",
    "7grooved6genome",
    "7grooved8movement",
];

/// Modules whose types make a generic reachable, as named in generics.
const OF_ENGINE: &[&str] = &["grooved..engine..", "grooved..dsp..", "grooved..output.."];

/// Size of a page in bytes; larger pages are multiples of it.
const PAGE: u64 = 4096;

/// Returns the address ranges in all executable sections that the audio thread can reach, as virtual addresses before
/// relocation; `None` if the program has no symbol table.
pub fn reachable<'p>(program: impl ReadRef<'p>) -> Option<Vec<Range<u64>>> {
    let file = ElfFile64::<object::Endianness, _>::parse(program).ok()?;
    let mut pages = std::collections::BTreeSet::new();
    let mut add = |from: u64, size: u64| pages.extend(from / PAGE..(from + size.max(1)).div_ceil(PAGE));
    // All names at once: asked one by one, a cache would keep each of them in memory.
    let names = file.section_by_name(".strtab")?.data().ok()?;
    let endian = file.endian();
    let name = |at: u32| {
        let rest = names.get(at as usize..)?;
        std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
    };
    let mut functions: Vec<(u64, u64, &str)> = file
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.size() > 0)
        .map(|s| (s.address(), s.size(), name(s.elf_symbol().st_name.get(endian)).unwrap_or_default()))
        .collect();
    if functions.len() < 1_000 {
        return None;
    }
    functions.sort_unstable_by_key(|(address, ..)| *address);
    let names: Vec<&str> = functions.iter().map(|(.., name)| *name).collect();
    for ((address, size, _), reachable) in functions.iter().zip(judge(&names)) {
        if reachable {
            add(*address, *size);
        }
    }
    // Sections without symbols (the import table) are included as a whole.
    for section in file.sections().filter(|s| s.kind() == SectionKind::Text && s.name() != Ok(".text")) {
        add(section.address(), section.size());
    }
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for page in pages {
        match ranges.last_mut() {
            Some(last) if last.end == page * PAGE => last.end += PAGE,
            _ => ranges.push(page * PAGE..(page + 1) * PAGE),
        }
    }
    Some(ranges)
}

/// Judges functions by their names, given in the order of their addresses: whether the audio thread can reach each one.
fn judge(names: &[&str]) -> Vec<bool> {
    let judged: Vec<Whose> = names.iter().map(|name| whose(name)).collect();
    // The nearest conclusive names before and after each function; beyond the ends, everything counts as reachable.
    let telling = |last: &mut Whose, whose: &Whose| {
        if *whose != Whose::Untold {
            *last = *whose;
        }
        Some(*last)
    };
    let before: Vec<Whose> = judged.iter().scan(Whose::Reachable, telling).collect();
    let behind: Vec<Whose> = judged.iter().rev().scan(Whose::Reachable, telling).collect();
    let nearest = before.iter().zip(behind.iter().rev());
    let mut reachable: Vec<bool> = nearest.map(|(b, a)| [b, a].contains(&&Whose::Reachable)).collect();
    let mut start = 0;
    for unit in names.chunk_by(|name, next| name <= next) {
        let range = start..start + unit.len();
        start = range.end;
        let is_ours = |name: &str| name.contains("7grooved") || name.contains("LT$grooved..");
        if range.clone().any(|at| judged[at] == Whose::Reachable && is_ours(names[at])) {
            range.filter(|at| judged[*at] == Whose::Untold).for_each(|at| reachable[at] = true);
        }
    }
    reachable
}

/// Address ranges of the sections that only the unwinder reads, that is, only after a panic.
pub fn unwinding<'p>(program: impl ReadRef<'p>) -> Vec<Range<u64>> {
    let Ok(file) = ElfFile64::<object::Endianness, _>::parse(program) else { return Vec::new() };
    let names = [".eh_frame", ".eh_frame_hdr", ".gcc_except_table"];
    let sections = file.sections().filter(|s| s.name().is_ok_and(|name| names.contains(&name)));
    sections.map(|s| s.address()..s.address() + s.size()).collect()
}

/// Lowest address at which the program asks to be loaded.
pub fn base<'p>(program: impl ReadRef<'p>) -> Option<u64> {
    use object::read::elf::ProgramHeader;
    let file = ElfFile64::<object::Endianness, _>::parse(program).ok()?;
    let (endian, header) = (file.endian(), file.elf_header());
    let segments = header.program_headers(endian, program).ok()?;
    segments.iter().filter(|s| s.p_type(endian) == object::elf::PT_LOAD).map(|s| s.p_vaddr(endian)).min()
}

/// Conclusion from the name of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Reachable,
    Elsewhere,
    /// A generic that may belong to anything.
    Untold,
}

fn whose(name: &str) -> Whose {
    // A function of this crate is judged by its module only: its own name may resemble that of another crate.
    let own = name.contains("7grooved");
    if own && !OWN_ELSEWHERE.iter().any(|module| name.contains(module)) {
        return Whose::Reachable;
    }
    if own || is_elsewhere(name) {
        return Whose::Elsewhere;
    }
    let generic = ["_ZN4core", "_ZN5alloc", "_ZN9hashbrown"].iter().any(|start| name.starts_with(start))
        || (name.starts_with("_ZN") && name.contains("_$LT$") && !name.contains("grooved"));
    // Whatever is made of the engine's types, such as the function that drops one, may be used by the audio thread.
    let is_of_engine = OF_ENGINE.iter().any(|module| name.contains(module));
    if generic && !is_of_engine { Whose::Untold } else { Whose::Reachable }
}

/// Returns whether a mangled name belongs to `ELSEWHERE`, or to a generic instantiated with its types.
fn is_elsewhere(name: &str) -> bool {
    ELSEWHERE.iter().any(|part| {
        let part = part.trim_end_matches('.');
        name.match_indices(part).any(|(at, _)| {
            // A path component follows its length (`_ZN10tract_core`), or a separator in the name of a generic.
            let before = name[..at].bytes().next_back();
            before.is_none_or(|b| b.is_ascii_digit() || matches!(b, b'.' | b'$'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whose_code_it_is() {
        for (name, elsewhere) in [
            ("_ZN10tract_core3ops4cnn4conv7ConvOp3run17h0123456789abcdefE", true),
            ("_ZN4core3ptr55drop_in_place$LT$tract_core..model..typed..Fact$GT$17h0E", true),
            ("_ZN5tokio7runtime9scheduler17h0E", true),
            ("_ZN7grooved6engine7machine6Engine6render17h0E", false),
            ("_ZN4core5slice4sort6stable14driftsort_main17h0E", false),
            ("_ZN7ringbuf6traits8producer8Producer8try_push17h0E", false),
            ("memcpy", false),
            ("_ZN7grooved6engine6voices26lost_time_is_lost_here_too17h0E", false),
            ("_ZN4time8duration8Duration17h0E", true),
            ("_ZN7grooved7control3osc7OscFace4send17h0E", true),
        ] {
            assert_eq!(whose(name) == Whose::Elsewhere, elsewhere, "{name}");
        }
        let drops = "_ZN4core3ptr53drop_in_place$LT$alloc..boxed..Box$LT$grooved..engine..tape..RecordTap$GT$$GT$17h0E";
        assert_eq!(whose(drops), Whose::Reachable);
    }

    #[test]
    fn a_generic_is_reachable_in_a_unit_with_code_of_the_engine_whatever_its_neighbours_are() {
        let names = [
            "_ZN102_$LT$rustfft..avx..MixedRadix9xnAvx$GT$7process17h0E",
            "_ZN113_$LT$core..ops..try_trait..Wrapped$LT$A$GT$$u20$as$u20$core..ops..function..FnMut$GT$8call_mut17h0E",
            "_ZN113_$LT$rustfft..algorithm..GoodThomasAlgorithm$GT$7process17h0E",
            "_ZN7grooved3dsp4sinc9SincTable3add17h0E",
            "_ZN99_$LT$rustfft..avx..Butterfly9Avx$GT$7process17h0E",
            // The next unit has none.
            "_ZN10tract_core3ops4conv17h0E",
            "_ZN4core3ptr13drop_in_place17h0E",
            "_ZN5tokio7runtime17h0E",
        ];
        assert_eq!(judge(&names), [false, true, false, true, false, false, false, false]);
    }

    #[test]
    fn most_of_this_program_is_elsewhere_and_the_engine_is_not() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let program = program.as_slice();
        let ranges = reachable(program).unwrap();
        let file = ElfFile64::<object::Endianness, _>::parse(program).unwrap();
        let text = file.section_by_name(".text").unwrap().size();
        let brought: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        assert!(brought < text, "{brought} of {text}");
        let mut engine = 0;
        for symbol in file.symbols().filter(|s| s.kind() == SymbolKind::Text && s.size() > 0) {
            if symbol.name().is_ok_and(|n| n.contains("7grooved6engine")) {
                engine += 1;
                let (from, to) = (symbol.address(), symbol.address() + symbol.size());
                assert!(ranges.iter().any(|r| r.start <= from && to <= r.end), "{:?}", symbol.name());
            }
        }
        assert!(engine > 50, "{engine} functions of the engine");
        assert!(base(program).is_some() && !unwinding(program).is_empty());
    }
}
