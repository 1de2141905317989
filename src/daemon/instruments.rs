//! The stream of instruments, started with the daemon.

use std::sync::Arc;

use crate::config::Config;
use crate::control::stream::{self, Settings, Studio};
use crate::control::tally::StreamTally;
use crate::ddsp::library::{Library, Shelf};
use crate::system::realtime;

/// Where the configuration's instruments are.
pub fn shelf(config: &Config) -> Arc<Shelf> {
    let folder = Some(config.ddsp.models.as_path()).filter(|f| !f.as_os_str().is_empty());
    Arc::new(Shelf::new(Library::new(folder)))
}

/// Opens the stream's port. One that is taken is a warning, not an end; so is an instrument that is not there.
pub async fn open(config: &Config, shelf: Arc<Shelf>, counts: Arc<StreamTally>) {
    let Ok(Some(address)) = config.ddsp.address() else { return };
    let settings = Settings {
        instrument: config.ddsp.first(),
        shelf,
        voices: config.ddsp.voices,
        clients: config.ddsp.clients,
        frame_ms: config.ddsp.frame_ms,
        allow: config.ddsp.allow.clone(),
        enter,
    };
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(
                "TCP port {} is not to be had ({error}); --ddsp-listen chooses another, or 'off' for none",
                address.port()
            );
            return;
        }
    };
    tracing::info!("DDSP stream on ws://{address}/");
    tokio::spawn(async move {
        let Ok((studio, first)) = tokio::task::spawn_blocking(move || Studio::open(settings, counts)).await else {
            return;
        };
        match first {
            Ok(()) => tracing::info!("instrument: {}", studio.settings.instrument),
            Err(why) => tracing::error!("{why}"),
        }
        stream::serve(listener, studio).await;
    });
}

/// What a rendering thread does first. Clients from the network set its load, so it has no realtime priority: a stage
/// must not fall silent because somebody asks for a thousand frames at once.
fn enter() {
    realtime::flush_denormals();
}
