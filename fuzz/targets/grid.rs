//! Beat grids beside tracks.

use grooved::media::grid::{Grid, Unit};

use super::Target;

/// JSON as a beat grid, which is then queried.
pub const GRID: Target = Target { name: "grid", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "\"bpm\"",
    "\"beats\"",
    "\"downbeats\"",
    "1e308",
    "-1e308",
    "5e-324",
    "0.0",
    "null",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "20",
    "400",
];

/// Runs the target [`GRID`].
pub fn run(data: &[u8]) {
    let Ok(Some(grid)) = Grid::parse(data) else { return };
    assert!((20.0..=400.0).contains(&grid.bpm));
    for at in [0.0, 1e-9, 0.5, 59.9, 1e6, 86_400.0] {
        for unit in [Unit::Beat, Unit::Bar(4), Unit::Bar(0)] {
            let next = grid.next(at, unit);
            assert!(next.is_finite() && next >= at - 2e-3, "{next} after {at}");
            assert!(grid.nearest(at, unit).is_finite());
        }
        let last = grid.last(at);
        assert!(last.is_finite(), "{last} before {at}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"bpm":120,"beats":[0.5,1.0,1.5,2.0,2.5],"downbeats":[0.5,2.5],"beat_positions":[1,2,3,4,1]}"#,
        r#"{"bpm":93.75}"#,
        r#"{"path":"a.wav","bpm":0,"beats":[3.0,1.0,1.64],"segments":[{"start":0.0,"end":1.0,"label":"intro"}]}"#,
        r#"{"beats":[]}"#,
    ];
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}
