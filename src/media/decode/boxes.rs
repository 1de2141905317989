//! Boxes of MP4 and QuickTime files (ISO/IEC 14496-12, 4.2).

use std::io;

use super::bytes::{Bytes, be32, be64};

/// Maximum number of boxes in one parent. A fragmented file of ten hours has about ten thousand.
const MOST: usize = 1 << 18;

/// Location of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    /// Four-character type.
    pub kind: [u8; 4],
    /// Offsets of the box, of its contents, and past its end.
    pub at: u64,
    pub from: u64,
    pub to: u64,
    /// Whether it ends within its parent.
    pub whole: bool,
}

/// Lists the boxes between `from` and `to`, up to the first invalid one.
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

/// Finds the first box along a path of types.
pub(super) fn find(bytes: &mut Bytes, parent: &Atom, path: &[&[u8; 4]]) -> io::Result<Option<Atom>> {
    let mut atom = *parent;
    for kind in path {
        // In MP4, the metadata box has four bytes before its children, in QuickTime it has not.
        let lead = if atom.kind == *b"meta" && bytes.peek(atom.from + 4, 4)? != b"hdlr" { 4 } else { 0 };
        match within(bytes, atom.from + lead, atom.to)?.into_iter().find(|child| child.kind == **kind) {
            Some(child) => atom = child,
            None => return Ok(None),
        }
    }
    Ok(Some(atom))
}

/// Reads the contents of a box, at most `most` bytes.
pub(super) fn contents(bytes: &mut Bytes, atom: &Atom, most: usize) -> io::Result<Vec<u8>> {
    let mut into = Vec::new();
    bytes.read(atom.from, (atom.to - atom.from).min(most as u64) as usize, &mut into)?;
    Ok(into)
}
