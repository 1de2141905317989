//! Clocks.

/// CLOCK_MONOTONIC in nanoseconds. Realtime: yes (answered without entering the kernel).
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME in nanoseconds since 1970.
pub fn wall_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, which is ours.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Sleeps until `deadline_ns` of CLOCK_MONOTONIC; returns early when a signal comes. Realtime: yes (this is what a
/// thread without a card waits in).
pub fn sleep_until(deadline_ns: u64) {
    let until = libc::timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (deadline_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: reads one timespec, writes nothing (no remainder is asked for with an absolute time).
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const until, std::ptr::null_mut());
    }
}

/// Seconds between 1900, where OSC and NTP count from, and 1970.
pub const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// The wall clock's offset to the monotonic one, in nanoseconds. It is read anew whenever it is needed, so a clock
/// that jumps (a Pi without a clock chip, when NTP answers) is followed at once.
pub fn wall_minus_monotonic_ns() -> i128 {
    // Two readings of the one around the other: the tighter pair wins when a preemption falls between them.
    let mut best = (u64::MAX, 0i128);
    for _ in 0..3 {
        let before = monotonic_ns();
        let wall = wall_ns();
        let after = monotonic_ns();
        let width = after - before;
        if width < best.0 {
            best = (width, i128::from(wall) - i128::from(before) - i128::from(width / 2));
        }
    }
    best.1
}

/// The monotonic moment of an OSC timetag (seconds since 1900 and a fraction of 2⁻³²); `None` before the machine
/// started.
pub fn timetag_to_monotonic_ns(seconds: u32, fraction: u32) -> Option<u64> {
    let unix_s = i128::from(seconds) - i128::from(NTP_TO_UNIX_S);
    let wall = unix_s * 1_000_000_000 + ((i128::from(fraction) * 1_000_000_000) >> 32);
    u64::try_from(wall - wall_minus_monotonic_ns()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timetag_of_now_is_now() {
        let wall = wall_ns();
        let seconds = (wall / 1_000_000_000 + NTP_TO_UNIX_S) as u32;
        let fraction = (((wall % 1_000_000_000) << 32) / 1_000_000_000) as u32;
        let mono = timetag_to_monotonic_ns(seconds, fraction).unwrap();
        assert!(monotonic_ns().abs_diff(mono) < 1_000_000_000);
        assert_eq!(timetag_to_monotonic_ns(1, 0), None);
    }
}
