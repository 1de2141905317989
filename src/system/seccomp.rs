//! A seccomp filter that restricts the audio thread to its own system calls.
//!
//! It is for tests: anything on the audio thread, in this crate or a library, that takes a futex, maps memory, logs or
//! opens a file is killed at once by SIGSYS and thereby found.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Restricts the calling thread for good. The thread must not end afterwards, since ending takes other calls: it may
/// only sleep until the process ends.
pub fn confine_audio_thread() -> Result<(), String> {
    let allowed = [
        libc::SYS_ioctl,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        libc::SYS_write,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        // Returning from a signal handler, and the end of the process, are not initiated by the thread.
        libc::SYS_rt_sigreturn,
        libc::SYS_exit_group,
    ];
    let rules: BTreeMap<i64, Vec<_>> = allowed.iter().map(|call| (*call, vec![])).collect();
    let arch = std::env::consts::ARCH.try_into().map_err(|e| format!("{e}"))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch);
    let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(|e| format!("{e}"))?;
    seccompiler::apply_filter(&program).map_err(|e| format!("{e}"))
}
