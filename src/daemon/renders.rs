//! Starts the render socket.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::config::Config;
use crate::control::faces::closing::Ending;
use crate::control::faces::renders::{self, Renders};
use crate::genome::Store;

/// How long the start waits for the disk of the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the database of genomes and the render socket's own port, if they are configured. What fails is only logged.
pub async fn open(config: &Config, ending: Ending) -> Option<Arc<Renders>> {
    let settings = &config.genomes;
    let path = settings.path()?;
    let cached = settings.cached;
    let opened = tokio::task::spawn_blocking(move || {
        let store = Store::open(&path, cached)?;
        store.count().map(|count| (store, count))
    });
    let Ok(opened) = tokio::time::timeout(PATIENCE, opened).await else {
        tracing::error!("genomes: the disk of the database does not answer; the render socket is disabled");
        return None;
    };
    let store = match opened.ok()? {
        Ok((store, count)) => {
            tracing::info!("genomes: {count} in {}; the render socket is open", store.path().display());
            store
        }
        Err(error) => {
            tracing::error!("{error}; the render socket is disabled (genomes.database)");
            return None;
        }
    };
    let shared = Arc::new(Renders {
        store,
        limit: settings.renders,
        longest: settings.duration,
        allow: settings.allow.clone(),
        ending,
        reading: tokio::sync::Semaphore::new(1),
        running: AtomicUsize::new(0),
    });
    if let Ok(Some(address)) = settings.address()
        && address.port() != config.http.port
    {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => {
                tracing::info!("render socket on ws://{address}/");
                tokio::spawn(renders::serve(listener, shared.clone()));
            }
            Err(error) => tracing::warn!(
                "render socket: cannot bind TCP port {}: {error}; available on the HTTP port only",
                address.port()
            ),
        }
    }
    Some(shared)
}
