//! What `groovectl` is made of: the daemon's clients in one room.
//!
//! - [`wire`]: asks over OSC and waits for the answers
//! - [`live`]: a connection to `/api/ws`, for what goes on and on
//! - [`status`]: a status, parsed once, as text and as JSON
//! - [`watch`]: the terminal view
//! - [`mod@bench`]: how many controls a second arrive, and how soon they are done
//! - [`ddsp`]: plays over the DDSP stream, and measures it
//! - [`shell`]: completion, and the help of single controls

pub mod bench;
pub mod crowd;
pub mod ddsp;
pub mod live;
pub mod shell;
pub mod status;
pub mod watch;
pub mod wire;
