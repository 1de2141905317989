//! Ctrl-C and SIGTERM for commands that end in an orderly way.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Calls `act` at Ctrl-C, SIGTERM or SIGHUP, once; a second Ctrl-C ends the process. If that cannot be arranged, the
/// signals end the process at once.
pub fn call(act: impl FnOnce() + Send + 'static) {
    let wait = move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate())?;
            let mut hung_up = signal(SignalKind::hangup())?;
            let mut interrupted = signal(SignalKind::interrupt())?;
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
                _ = hung_up.recv() => {}
            }
            act();
            // The command may hang.
            interrupted.recv().await;
            Ok::<(), io::Error>(())
        })?;
        std::process::exit(130)
    };
    drop(std::thread::Builder::new().name("interrupt".into()).spawn(wait));
}
