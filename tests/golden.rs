//! Offline renders of the real program: the same to the bit whatever the period size, and every time.

mod common;

use common::{Scratch, grooved};

fn render(scratch: &Scratch, name: &str, args: &[&str]) -> Vec<u8> {
    let out = scratch.path(name);
    let status = grooved()
        .current_dir(&scratch.0)
        .args(["--render", "3", "--output", &format!("wav:{}", out.display())])
        .args(args)
        .status()
        .unwrap();
    assert!(status.success(), "{args:?}");
    std::fs::read(out).unwrap()
}

#[test]
fn renders_are_equal_for_every_period_size_and_every_time() {
    let scratch = Scratch::new("golden");
    // One streamed stem and one that is resident as a whole, at other rates than the output's.
    scratch.wav("a.wav", 44_100, 44_100 * 6, |k| {
        let noise = ((k as u32).wrapping_mul(2_654_435_761) as i32) as f32 / 1.0e10;
        (noise, -noise)
    });
    scratch.sine("b.wav", 96_000, 1, 333, 0.2);
    let plan = [
        "--a",
        "a.wav",
        "--b",
        "b.wav",
        "--rate",
        "0.979",
        "--ab",
        "0.9",
        "0.5",
        "--bpm",
        "126",
        "--c_preload",
        "b.wav",
        "--c_at",
        "1.2345",
    ];
    let reference = render(&scratch, "reference.wav", &plan);
    assert!(reference.len() > 3 * 48_000 * 8);
    assert!(reference[1000..].iter().any(|b| *b != 0), "it sounds");
    for size in ["16", "64", "441", "1023", "1024", "4096"] {
        let mut args = plan.to_vec();
        args.extend(["--buffer-size", size]);
        assert!(render(&scratch, "again.wav", &args) == reference, "period {size}");
    }
    // And it does depend on what is asked for.
    let other = ["--a", "a.wav", "--rate", "0.98"];
    assert!(render(&scratch, "other.wav", &other) != reference);
}
