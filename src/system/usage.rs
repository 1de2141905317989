//! Resource usage of the process.

/// Resident memory in bytes; 0 if the kernel does not report it.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    // SAFETY: reads a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * page.max(0) as u64
}

/// Id of the calling thread, as in /proc.
pub fn thread_id() -> u32 {
    // SAFETY: takes no arguments and touches no memory.
    unsafe { libc::gettid() as u32 }
}

/// Page faults so far of a thread of this process: (minor, major).
pub fn faults_of(thread: u32) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The name may contain anything but ends with the last parenthesis; then follow state, parents, terminals, flags.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(7);
    let minor = fields.next()?.parse().ok()?;
    let major = fields.nth(1)?.parse().ok()?;
    Some((minor, major))
}

/// Name of this machine.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_string()).filter(|n| !n.is_empty())
}

/// Processor time in seconds by thread name; threads of the same name are added up.
pub fn thread_seconds() -> std::collections::BTreeMap<String, f64> {
    // SAFETY: reads a constant of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
    let mut out = std::collections::BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((front, back)) = stat.rsplit_once(')') else { continue };
        let Some((_, name)) = front.split_once('(') else { continue };
        let spent: u64 = back.split_whitespace().skip(11).take(2).filter_map(|v| v.parse::<u64>().ok()).sum();
        *out.entry(name.to_string()).or_insert(0.0) += spent as f64 / ticks;
    }
    out
}

/// Bytes available to this process on the disk that contains `path`.
pub fn free_bytes(path: &std::path::Path) -> Option<u64> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
    // SAFETY: the structure is plain data, for which all zero bits are valid.
    let mut disk: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a NUL-terminated path and a structure of the right type, both of which outlive the call.
    let result = unsafe { libc::statvfs(path.as_ptr(), &raw mut disk) };
    (result == 0).then(|| disk.f_bavail * disk.f_frsize)
}

/// Number of packets that the kernel dropped at the UDP sockets of these ports because they were not read in time.
pub fn udp_drops(ports: &[u16]) -> u64 {
    ["/proc/net/udp", "/proc/net/udp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|table| drops_in(&table, ports))
        .sum()
}

/// Number of sockets of all programs bound to each of these UDP ports.
pub fn udp_sockets(ports: &[u16]) -> Vec<usize> {
    let tables: Vec<String> =
        ["/proc/net/udp", "/proc/net/udp6"].iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let count =
        |port: &u16| tables.iter().flat_map(|t| t.lines().skip(1)).filter(|l| port_in(l) == Some(*port)).count();
    ports.iter().map(count).collect()
}

/// Port of a line: the second column is address and port, in hexadecimal.
fn port_in(line: &str) -> Option<u16> {
    u16::from_str_radix(line.split_whitespace().nth(1)?.rsplit_once(':')?.1, 16).ok()
}

/// Sums the last column, the drops, over the given ports.
fn drops_in(table: &str, ports: &[u16]) -> u64 {
    let row = |line: &str| -> Option<u64> {
        let ours = ports.contains(&port_in(line)?);
        ours.then(|| line.split_whitespace().last()?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(row).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_those_of_our_ports() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                     10: 00000000:DF20 00000000:0000 07 00000000:00000000 00:00000000 00000000  0 0 53 2 0000000000000000 7\n\
                     11: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000  0 0 53 2 0000000000000000 90\n";
        assert_eq!(drops_in(table, &[57_120]), 7);
        assert_eq!(drops_in(table, &[57_120, 68]), 97);
    }
}
