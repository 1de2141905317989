//! Clients of the daemon, used by `groovectl`.
//!
//! - [`wire`]: requests over OSC and their replies
//! - [`live`]: a connection to `/api/ws`, for continuous updates
//! - [`status`]: the daemon's status as a struct, as text and as JSON
//! - [`watch`]: the terminal view
//! - [`mod@bench`]: throughput and latency of controls
//! - [`crowd`]: a simulated evening of movement; [`dancers`]: a crowd that moves to what it hears
//! - [`ddsp`]: plays over the DDSP stream, and measures its latency
//! - [`genome`]: renders a genome over the render socket
//! - [`shell`]: shell completion, and help for single controls

pub mod bench;
pub mod crowd;
pub mod dancers;
pub mod ddsp;
pub mod genome;
pub mod live;
pub mod shell;
pub mod status;
pub mod watch;
pub mod wire;
