//! Ctrl-C and SIGTERM for commands that end in an orderly way.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Calls `act` at Ctrl-C or SIGTERM, once. If that cannot be arranged, the signals end the process at once.
pub fn call(act: impl FnOnce() + Send + 'static) {
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate())?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted?,
                _ = terminated.recv() => {}
            }
            act();
            Ok::<(), io::Error>(())
        })
    };
    drop(std::thread::Builder::new().name("interrupt".into()).spawn(wait));
}
