//! Which code of the program the audio thread can reach.
//!
//! Code that is not in memory when the audio thread first runs it would have to be read from the disk. Bringing in all of
//! the program is safe and wasteful: most of it is inference, decoders and servers, which other threads run. So pages of
//! the program's code are brought in unless everything on them belongs to one of `ELSEWHERE`, judged by the names in
//! the program's own symbol table. A program without one (stripped) is brought in as a whole.
//!
//! What is generic in `core` and `alloc` bears no name of whoever uses it. The linker keeps together what was compiled
//! together, so it counts as its neighbours do: it is reachable if the nearest function with a telling name is, on either
//! side.

use std::ops::Range;

use object::read::elf::{ElfFile64, FileHeader};
use object::{Object, ObjectSection, ObjectSymbol, ReadRef, SectionKind, SymbolKind};

/// Crates that the audio thread runs nothing of, as they appear in mangled names. Everything else counts as reachable.
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
];

/// Modules of this crate that the audio thread runs nothing of, likewise.
const OWN_ELSEWHERE: &[&str] = &[
    "7grooved7control",
    "7grooved6daemon",
    "7grooved6config",
    "7grooved6remote",
    "7grooved4demo",
    "7grooved5media",
    "7grooved4ddsp",
    "7grooved8movement",
];

/// A page of memory, in bytes. Larger pages hold several of these.
const PAGE: u64 = 4096;

/// Ranges of file addresses (virtual addresses of the program before it is moved) that the audio thread can reach, of all
/// executable sections; `None` if the program has no table of symbols.
pub fn reachable<'p>(program: impl ReadRef<'p>) -> Option<Vec<Range<u64>>> {
    let file = ElfFile64::<object::Endianness, _>::parse(program).ok()?;
    let mut pages = std::collections::BTreeSet::new();
    let mut add = |from: u64, size: u64| pages.extend(from / PAGE..(from + size.max(1)).div_ceil(PAGE));
    let mut functions: Vec<(u64, u64, Whose)> = file
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.size() > 0)
        .map(|s| (s.address(), s.size(), s.name().map_or(Whose::Reachable, whose)))
        .collect();
    if functions.len() < 1_000 {
        return None;
    }
    functions.sort_unstable_by_key(|(address, ..)| *address);
    // The nearest telling names before and behind each function; at the ends everything counts as reachable.
    let telling = |last: &mut Whose, whose: Whose| {
        if whose != Whose::Untold {
            *last = whose;
        }
        *last
    };
    let mut last = Whose::Reachable;
    let before: Vec<Whose> = functions.iter().map(|(.., whose)| telling(&mut last, *whose)).collect();
    let mut last = Whose::Reachable;
    let behind: Vec<Whose> = functions.iter().rev().map(|(.., whose)| telling(&mut last, *whose)).collect();
    for (((address, size, _), before), behind) in functions.iter().zip(before).zip(behind.into_iter().rev()) {
        if before == Whose::Reachable || behind == Whose::Reachable {
            add(*address, *size);
        }
    }
    // Where no symbols are (the table of imports) everything counts.
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

/// Addresses of what only the unwinder reads, which runs when all is lost: (start, end) of each such section.
pub fn unwinding<'p>(program: impl ReadRef<'p>) -> Vec<Range<u64>> {
    let Ok(file) = ElfFile64::<object::Endianness, _>::parse(program) else { return Vec::new() };
    let names = [".eh_frame", ".eh_frame_hdr", ".gcc_except_table"];
    let sections = file.sections().filter(|s| s.name().is_ok_and(|name| names.contains(&name)));
    sections.map(|s| s.address()..s.address() + s.size()).collect()
}

/// The lowest address the program asks to be loaded at.
pub fn base<'p>(program: impl ReadRef<'p>) -> Option<u64> {
    use object::read::elf::ProgramHeader;
    let file = ElfFile64::<object::Endianness, _>::parse(program).ok()?;
    let (endian, header) = (file.endian(), file.elf_header());
    let segments = header.program_headers(endian, program).ok()?;
    segments.iter().filter(|s| s.p_type(endian) == object::elf::PT_LOAD).map(|s| s.p_vaddr(endian)).min()
}

/// What a function's name tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Reachable,
    Elsewhere,
    /// It is generic, and may be anybody's.
    Untold,
}

fn whose(name: &str) -> Whose {
    // A function of this crate is told by its module alone: its own name may be like another crate's.
    let own = name.contains("7grooved");
    if own && !OWN_ELSEWHERE.iter().any(|module| name.contains(module)) {
        return Whose::Reachable;
    }
    if own || is_elsewhere(name) {
        return Whose::Elsewhere;
    }
    let generic = ["_ZN4core", "_ZN5alloc", "_ZN9hashbrown"].iter().any(|start| name.starts_with(start))
        || (name.starts_with("_ZN") && name.contains("_$LT$") && !name.contains("grooved"));
    if generic { Whose::Untold } else { Whose::Reachable }
}

/// Whether a mangled name is of one of `ELSEWHERE`, or of something generic over its types.
fn is_elsewhere(name: &str) -> bool {
    ELSEWHERE.iter().any(|part| {
        let part = part.trim_end_matches('.');
        name.match_indices(part).any(|(at, _)| {
            // A path's part follows its length (`_ZN10tract_core`) or a separator within a generic's name.
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
