//! Realtime setup of threads and memory, with a report of what the system refused.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// What to do when SCHED_FIFO is refused (RLIMIT_RTPRIO). 80 is above every priority used here.
pub const RTPRIO_REMEDY: &str = "set LimitRTPRIO=80 in the unit, or 'rtprio 80' in /etc/security/limits.d";
/// What to do when memory cannot be locked (RLIMIT_MEMLOCK).
pub const MEMLOCK_REMEDY: &str =
    "set LimitMEMLOCK=infinity in the unit, or 'memlock unlimited' in /etc/security/limits.d";
/// Priority of the audio thread: above the kernel's threaded interrupts (50), below that of the sound card (80).
pub const AUDIO_PRIORITY: u8 = 70;
/// Priority of the overseer: above the workers, below everything that serves the card.
pub const OVERSEER_PRIORITY: u8 = 48;
/// Priority of the voices' worker: above stretching, because notes are more urgent than refilling a reserve.
pub const VOICE_PRIORITY: u8 = 45;
/// Priority of the stretching threads: below all interrupts, so that they never delay the card's.
pub const STRETCH_PRIORITY: u8 = 40;

/// A request that the system refused, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The request.
    pub what: String,
    /// The change that would allow it.
    pub remedy: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// Gives the calling thread SCHED_FIFO at `priority`.
pub fn schedule_fifo(priority: u8) -> Result<(), Refused> {
    let value = ThreadPriorityValue::try_from(priority).unwrap_or(ThreadPriorityValue::MIN);
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(value),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .map_err(|error| Refused {
        what: format!("SCHED_FIFO priority {priority} was refused ({error:?})"),
        remedy: RTPRIO_REMEDY.into(),
    })
}

/// Removes the realtime priority of a thread of this process. Needs no privilege; a thread that has ended is ignored.
pub fn demote(thread: libc::pid_t) {
    if thread <= 0 {
        return;
    }
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters outlive the call, which only changes the scheduling of a thread.
    unsafe { libc::sched_setscheduler(thread, libc::SCHED_OTHER, &parameters) };
}

/// Gives disk reads of the calling thread precedence over those of ordinary threads, if the I/O scheduler supports
/// priorities. Needs no privilege; failure is ignored.
pub fn prefer_disk() {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // Best effort class, the highest of its eight levels (linux/ioprio.h).
    const BEST_EFFORT_HIGHEST: libc::c_int = 2 << 13;
    // SAFETY: no pointers are passed; the call only changes the order of the thread's reads.
    unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, BEST_EFFORT_HIGHEST) };
}

/// Locks the process's current memory: existing pages stay, and pages of existing mappings stay once touched. Later
/// mappings are not covered; those that matter are locked by [`lock`].
pub fn lock_present_memory() -> Result<(), Refused> {
    // SAFETY: no pointers are passed; the call only affects the residency of pages.
    let result = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_ONFAULT) };
    if result == 0 { Ok(()) } else { Err(memory_refused("locking memory")) }
}

/// Locks the pages that contain a slice.
pub fn lock<T>(slice: &[T]) -> Result<(), Refused> {
    // SAFETY: the range is that of a live slice.
    let result = unsafe { libc::mlock(slice.as_ptr().cast(), std::mem::size_of_val(slice)) };
    if result == 0 { Ok(()) } else { Err(memory_refused("locking a stem's buffers")) }
}

/// Populates all pages of the process that are mapped but not yet present: memory allocated but never written, and code
/// that never ran. Otherwise the first thread to touch them waits for the kernel or for the disk. Kernels before 5.14
/// do not support this and ignore it.
///
/// Of the program's own code and constants, only what the audio thread can reach is populated; see [`super::reach`].
pub fn touch_present_memory() {
    let own = Own::find();
    // Memory freed at the end of the heap would otherwise be populated and locked for good.
    // SAFETY: returns unused pages to the kernel; no pointer is passed.
    unsafe { libc::malloc_trim(0) };
    for mapping in mappings() {
        if let Some(own) = &own
            && own.touch(&mapping)
        {
            continue;
        }
        // Private writable pages need a copy of their own.
        let advice = match (mapping.reads, mapping.writes && mapping.private) {
            (false, _) => continue,
            (true, true) => libc::MADV_POPULATE_WRITE,
            (true, false) => libc::MADV_POPULATE_READ,
        };
        mapping.advise(advice);
    }
}

/// Returns all unlocked pages to the kernel, as under memory pressure; a debugging aid.
pub fn page_out() {
    for mapping in mappings() {
        mapping.advise(libc::MADV_PAGEOUT);
    }
}

/// The program's own file in memory.
struct Own {
    path: String,
    /// Relocation offset added to its addresses.
    moved: u64,
    reachable: Vec<std::ops::Range<u64>>,
    unwinding: Vec<std::ops::Range<u64>>,
}

impl Own {
    /// Returns `None` if the program has no usable symbol table.
    fn find() -> Option<Own> {
        let path = std::fs::read_link("/proc/self/exe").ok()?.to_str()?.to_string();
        let first = mappings().into_iter().find(|m| m.path == path && m.private)?;
        // Only the parts that are needed are read: with its debug information the file is large.
        let program = object::ReadCache::new(std::fs::File::open("/proc/self/exe").ok()?);
        let program = &program;
        let moved = (first.from as u64).checked_sub(super::reach::base(program)?)?;
        Some(Own {
            path,
            moved,
            reachable: super::reach::reachable(program)?,
            unwinding: super::reach::unwinding(program),
        })
    }

    /// Populates the needed part of a mapping of the program; returns `false` for other mappings, to be populated
    /// whole.
    fn touch(&self, mapping: &Mapping) -> bool {
        if mapping.path != self.path || mapping.writes || !mapping.reads {
            return false;
        }
        let (from, to) = (mapping.from as u64 - self.moved, mapping.to as u64 - self.moved);
        let within = |r: &std::ops::Range<u64>| r.start.max(from)..r.end.min(to);
        let wanted: Vec<std::ops::Range<u64>> = if mapping.runs {
            self.reachable.iter().map(within).collect()
        } else {
            // Constants: all except what only the unwinder reads.
            let mut left: Vec<std::ops::Range<u64>> = std::iter::once(from..to).collect();
            for gap in self.unwinding.iter().map(within).filter(|g| g.start < g.end) {
                left = left
                    .into_iter()
                    .flat_map(|r| [r.start..r.end.min(gap.start), r.start.max(gap.end)..r.end])
                    .collect();
            }
            left
        };
        let wanted: Vec<std::ops::Range<u64>> = wanted.into_iter().filter(|r| r.start < r.end).collect();
        let part = |from: u64, to: u64| Mapping {
            from: (from + self.moved) as usize & !0xfff,
            to: (to + self.moved + 0xfff) as usize & !0xfff,
            path: String::new(),
            ..*mapping
        };
        for range in &wanted {
            part(range.start, range.end).advise(libc::MADV_POPULATE_READ);
        }
        if !mapping.runs {
            return true;
        }
        // Readahead and startup code have populated other pages as well: drop them; they are reloaded on demand.
        let mut at = from;
        for range in &wanted {
            let gap = part((at + 0xfff) & !0xfff, range.start & !0xfff);
            if gap.from < gap.to {
                gap.advise(libc::MADV_DONTNEED);
            }
            at = range.end;
        }
        let rest = part((at + 0xfff) & !0xfff, to);
        if rest.from < rest.to {
            rest.advise(libc::MADV_DONTNEED);
        }
        true
    }
}

/// A memory mapping of the process.
struct Mapping {
    from: usize,
    to: usize,
    reads: bool,
    writes: bool,
    runs: bool,
    private: bool,
    /// Path of the mapped file, or empty.
    path: String,
}

impl Mapping {
    /// Parses a line of `/proc/self/maps`: `5604c7a00000-5604c7b00000 r-xp ...`.
    fn parse(line: &str) -> Option<Mapping> {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let hex = |text| usize::from_str_radix(text, 16).ok();
        let may = |place: usize, what| rest.as_bytes().get(place) == Some(&what);
        Some(Mapping {
            from: hex(from)?,
            to: hex(to)?,
            reads: may(0, b'r'),
            writes: may(1, b'w'),
            runs: may(2, b'x'),
            private: may(3, b'p'),
            path: rest.splitn(5, ' ').nth(4).unwrap_or_default().trim_start().to_string(),
        })
    }

    /// Applies `madvise` to its pages.
    fn advise(&self, advice: libc::c_int) {
        // SAFETY: the advices used here populate or evict pages without changing their contents: dropped pages are
        // code, which is never written. Unsuitable or vanished ranges are rejected.
        unsafe { libc::madvise(self.from as *mut libc::c_void, self.to - self.from, advice) };
    }
}

fn mappings() -> Vec<Mapping> {
    std::fs::read_to_string("/proc/self/maps").unwrap_or_default().lines().filter_map(Mapping::parse).collect()
}

fn memory_refused(what: &str) -> Refused {
    Refused { what: format!("{what} was refused ({})", std::io::Error::last_os_error()), remedy: MEMLOCK_REMEDY.into() }
}

/// Touches the stack that an audio thread may use, so that it never faults there later.
#[inline(never)]
pub fn prefault_stack() {
    let mut room = [0u8; 256 * 1024];
    for page in room.chunks_mut(4096) {
        page[0] = std::hint::black_box(1);
    }
    std::hint::black_box(&room);
}

/// Lets a closed pipe end the program quietly, as other commands do (`grooved genomes list | head`). Not for the daemon.
pub fn end_on_broken_pipe() {
    // SAFETY: the default action replaces Rust's choice to ignore the signal; no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Flushes denormals to zero on the calling thread, so that decaying filters do not become a hundred times slower.
pub fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        let mut control: u32 = 0;
        // SAFETY: stores the control register to a local variable; no other memory is touched.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack)) };
        // Bit 15: results, bit 6: operands.
        control |= 0x8040;
        // SAFETY: loads the register with its own value plus two flags that are defined on every x86-64.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, readonly)) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        let mut control: u64;
        // SAFETY: reads the floating-point control register.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack)) };
        control |= 1 << 24;
        // SAFETY: sets its flush-to-zero bit and nothing else.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack)) };
    }
}

/// Makes the C library's allocator return memory: all threads share two heaps (by default the first threads each get
/// their own, which keeps its peak size), and blocks larger than 128 KiB are separate mappings that end when freed (by
/// default that limit grows with the blocks freed, to 32 MiB).
pub fn economise_heap() {
    // SAFETY: called with constants that mallopt(3) allows; existing blocks are unaffected.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 * 1024);
    }
}

/// Keeps the processor out of deep sleep states for as long as the returned handle lives.
///
/// Useful on PCs whose wake-up takes 100 µs and more; pointless on ARM boards, which lack this file or ignore it.
pub fn hold_cpu_latency() -> Result<std::fs::File, Refused> {
    let path = "/dev/cpu_dma_latency";
    let refused = |error: std::io::Error| Refused {
        what: format!("cannot hold {path} ({error})"),
        remedy: "give the user write access by a udev rule, or set hold_cpu_latency = false".into(),
    };
    let mut file = std::fs::OpenOptions::new().write(true).open(path).map_err(refused)?;
    std::io::Write::write_all(&mut file, &0i32.to_ne_bytes()).map_err(refused)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denormals_become_zero_on_the_thread_that_asked() {
        let tiny = |x: f32| std::hint::black_box(x) * std::hint::black_box(0.5);
        std::thread::spawn(move || {
            flush_denormals();
            assert_eq!(tiny(f32::MIN_POSITIVE), 0.0);
        })
        .join()
        .unwrap();
        assert!(tiny(f32::MIN_POSITIVE) > 0.0);
    }

    /// Number of pages of a slice that are in memory.
    fn present(slice: &[u8]) -> usize {
        let page = 4096;
        let from = slice.as_ptr() as usize & !(page - 1);
        let mut found = vec![0u8; (slice.as_ptr() as usize + slice.len() - from).div_ceil(page)];
        // SAFETY: the range is that of a live slice, widened to whole pages; there is one byte for each of them.
        let result = unsafe { libc::mincore(from as *mut libc::c_void, found.len() * page, found.as_mut_ptr()) };
        assert_eq!(result, 0);
        found.iter().filter(|f| **f & 1 == 1).count()
    }

    #[test]
    fn memory_that_was_never_written_is_there() {
        // A block this large is mapped fresh by the kernel and never reused from freed memory.
        let zeros = std::hint::black_box(vec![0u8; 40 << 20]);
        let pages = zeros.len() / 4096;
        assert!(present(&zeros) < 8, "{} of {pages} pages before touching", present(&zeros));
        touch_present_memory();
        assert!(present(&zeros) >= pages, "{} of {pages} pages", present(&zeros));
        assert!(zeros.iter().all(|z| *z == 0));
    }

    #[test]
    fn a_refusal_names_the_limit() {
        let refused = memory_refused("locking memory");
        assert!(refused.to_string().contains("LimitMEMLOCK"));
    }
}
