//! Boxes of MP4 and QuickTime files (ISO/IEC 14496-12, 4.2).

use std::io;

use super::bytes::{Bytes, be32, be64};

/// Boxes in one parent at most. A fragmented file of ten hours has some ten thousand.
const MOST: usize = 1 << 18;

/// A box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    /// What it is.
    pub kind: [u8; 4],
    /// Where it begins, where its contents do, and the byte behind them.
    pub at: u64,
    pub from: u64,
    pub to: u64,
    /// Whether it ends within its parent.
    pub whole: bool,
}

/// The boxes between `from` and `to`. Ends at the first one that can't be.
pub(super) fn within(bytes: &mut Bytes, from: u64, to: u64) -> io::Result<Vec<Atom>> {
    let mut atoms = Vec::new();
    let mut at = from;
    while at + 8 <= to && atoms.len() < MOST {
        let head = bytes.peek(at, 16)?;
        let (size, mut lead) = (u64::from(be32(head, 0)), 8);
        let Some(kind) = head.get(4..8).and_then(|k| k.try_into().ok()) else { break };
        let size = match size {
            0 => to - at,
            1 => {
                lead = 16;
                be64(head, 8)
            }
            size => size,
        };
        if size < lead {
            break;
        }
        let end = at.saturating_add(size);
        atoms.push(Atom { kind, at, from: at + lead, to: end.min(to), whole: end <= to });
        at = end;
    }
    Ok(atoms)
}

/// The first box of a kind, down a path of kinds.
pub(super) fn find(bytes: &mut Bytes, parent: &Atom, path: &[&[u8; 4]]) -> io::Result<Option<Atom>> {
    let mut atom = *parent;
    for kind in path {
        // The box of metadata has four bytes before its children in MP4, but not in QuickTime.
        let lead = if atom.kind == *b"meta" && bytes.peek(atom.from + 4, 4)? != b"hdlr" { 4 } else { 0 };
        match within(bytes, atom.from + lead, atom.to)?.into_iter().find(|child| child.kind == **kind) {
            Some(child) => atom = child,
            None => return Ok(None),
        }
    }
    Ok(Some(atom))
}

/// A box's contents, `most` bytes of them.
pub(super) fn contents(bytes: &mut Bytes, atom: &Atom, most: usize) -> io::Result<Vec<u8>> {
    let mut into = Vec::new();
    bytes.read(atom.from, (atom.to - atom.from).min(most as u64) as usize, &mut into)?;
    Ok(into)
}
