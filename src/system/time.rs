//! Clocks.

/// CLOCK_MONOTONIC in nanoseconds. Realtime: yes (read without entering the kernel).
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME in nanoseconds since 1970.
pub fn wall_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, to the local variable.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Sleeps until `deadline_ns` of CLOCK_MONOTONIC; returns early on a signal. Realtime: yes (this is how a thread
/// without a card waits).
pub fn sleep_until(deadline_ns: u64) {
    let until = libc::timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (deadline_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: reads one timespec and writes nothing (there is no remainder with an absolute time).
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const until, std::ptr::null_mut());
    }
}

/// Seconds between 1900, the epoch of OSC and NTP, and 1970.
pub const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// Offset of the wall clock from the monotonic clock, in nanoseconds. Read anew on every use, so that a jump of the
/// clock (on a Pi without a clock chip, when NTP answers) is followed at once.
pub fn wall_minus_monotonic_ns() -> i128 {
    // Enclose one reading between two of the other clock; the tightest of three attempts is used in case of preemption.
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

/// Timetags count within an era of 2³² s; the next one begins in February 2036. A timetag is assigned to that era if it
/// lies within this many seconds of the present there; otherwise it counts from 1900.
const NEAR_S: i128 = 7 * 86_400;

/// Converts the seconds of a timetag to seconds since 1970, given the current time in the same unit.
fn unix_of_timetag(seconds: u32, now: i128) -> i128 {
    let first = i128::from(seconds) - i128::from(NTP_TO_UNIX_S);
    let second = first + (1 << 32);
    if (second - now).abs() < NEAR_S { second } else { first }
}

/// Converts an OSC timetag (seconds since 1900, or since 2036, and a fraction of 2⁻³²) to the monotonic clock; `None`
/// if it is before the machine's start.
pub fn timetag_to_monotonic_ns(seconds: u32, fraction: u32) -> Option<u64> {
    let unix_s = unix_of_timetag(seconds, i128::from(wall_ns() / 1_000_000_000));
    let wall = unix_s * 1_000_000_000 + ((i128::from(fraction) * 1_000_000_000) >> 32);
    u64::try_from(wall - wall_minus_monotonic_ns()).ok()
}

/// Current time (UTC) in a form suitable for file names: `2026-11-21 08-50-12`.
pub fn utc_name() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    name_of(seconds)
}

/// Converts days to civil dates after Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so
/// that the leap day is the last.
fn name_of(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month_of_year) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month_of_year <= 2);
    format!("{year:04}-{month_of_year:02}-{day:02} {:02}-{:02}-{:02}", rest / 3600, rest / 60 % 60, rest % 60)
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

    #[test]
    fn timetags_go_on_in_2036() {
        let rollover = (1i128 << 32) - i128::from(NTP_TO_UNIX_S);
        for (seconds, now, unix) in [
            (3_989_000_000, 1_780_011_200, 1_780_011_200),
            (u32::MAX, rollover - 1, rollover - 1),
            (0, rollover, rollover),
            (5, rollover - 5, rollover + 5),
            (u32::MAX, rollover + 5, rollover - 1),
            (1_000_000, rollover + 1_000_010, rollover + 1_000_000),
            // Counted from the sender's own start, as some senders do: long ago.
            (1, 1_780_011_200, 1 - i128::from(NTP_TO_UNIX_S)),
        ] {
            assert_eq!(unix_of_timetag(seconds, now), unix, "{seconds} at {now}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, name) in [
            (0, "1970-01-01 00-00-00"),
            (951_782_400, "2000-02-29 00-00-00"),
            (1_709_251_199, "2024-02-29 23-59-59"),
            (1_795_251_012, "2026-11-21 08-50-12"),
            (4_107_542_400, "2100-03-01 00-00-00"),
        ] {
            assert_eq!(name_of(seconds), name);
        }
    }
}
