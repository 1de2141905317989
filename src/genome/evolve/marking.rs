//! Historical markings: names of genes that tell where a gene comes from.
//!
//! Stanley and Miikkulainen (2002) number structural mutations with a global counter, and genes with the same number
//! match in a crossover. Here there is no counter, because lines are bred at different times and in different places:
//! a marking is a hash of what was connected or split instead, so the same mutation has the same marking everywhere and
//! for ever. What differs from the counter: a connection that is removed and made again has its old marking again.

/// FNV-1a over parts, each ended by a byte that occurs in no text.
fn hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0xff])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// The marking of a new gene of the kind `letter` that comes from `parts`. While it is taken, the next one is tried, as
/// for a connection that is split for the second time.
pub(super) fn mark(letter: char, parts: &[&str], is_taken: impl Fn(&str) -> bool) -> String {
    let origin = hash(parts);
    let mut marking = format!("{letter}{origin:016x}");
    let mut count = 1;
    while is_taken(&marking) {
        marking = format!("{letter}{:016x}", hash(&[&format!("{origin:x}"), &count.to_string()]));
        count += 1;
    }
    marking
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markings_depend_on_every_part_and_on_what_is_taken() {
        let free = |_: &str| false;
        let first = mark('s', &["a", "b"], free);
        assert_eq!(first, mark('s', &["a", "b"], free));
        assert!(mark('s', &["ab"], free) != first && mark('s', &["", "ab"], free) != first);
        let second = mark('s', &["a", "b"], |m| m == first);
        assert_ne!(first, second);
        assert_eq!(second, mark('s', &["a", "b"], |m| m == first));
    }
}
