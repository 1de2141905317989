//! What the process uses.

/// Resident memory in bytes; 0 where the kernel does not tell.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    // SAFETY: reads a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * page.max(0) as u64
}

/// The calling thread's number, as /proc knows it.
pub fn thread_id() -> u32 {
    // SAFETY: takes and touches nothing.
    unsafe { libc::gettid() as u32 }
}

/// Page faults of a thread of this process so far: (minor, major).
pub fn faults_of(thread: u32) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The name may hold anything but ends with the last parenthesis; then come state, parents, terminals, flags.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(7);
    let minor = fields.next()?.parse().ok()?;
    let major = fields.nth(1)?.parse().ok()?;
    Some((minor, major))
}
