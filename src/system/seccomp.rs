//! A filter that lets the audio thread make its own system calls and no others.
//!
//! It is for tests: whatever takes a futex, maps memory, logs or opens something on the audio thread, in our code or
//! in a library, dies on the spot by SIGSYS and is thereby found.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Restricts the calling thread for good. The thread must not end afterwards (ending takes other calls): it may only
/// sleep until the process does.
pub fn confine_audio_thread() -> Result<(), String> {
    let allowed = [
        libc::SYS_ioctl,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        libc::SYS_write,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        // Returning from a signal handler, and the end of the whole process, are not the thread's doing.
        libc::SYS_rt_sigreturn,
        libc::SYS_exit_group,
    ];
    let rules: BTreeMap<i64, Vec<_>> = allowed.iter().map(|call| (*call, vec![])).collect();
    let arch = std::env::consts::ARCH.try_into().map_err(|e| format!("{e}"))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch);
    let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(|e| format!("{e}"))?;
    seccompiler::apply_filter(&program).map_err(|e| format!("{e}"))
}
