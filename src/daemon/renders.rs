//! Starts the render socket.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::config::Config;
use crate::control::faces::closing::Ending;
use crate::control::faces::renders::{self, Renders};
use crate::genome::Collection;

/// How long the start waits for the disk of the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the render socket's own port, if there is a database of genomes. Requests fail as long as the database cannot
/// be opened, which is logged.
pub async fn open(config: &Config, genomes: Option<Arc<Collection>>, ending: Ending) -> Option<Arc<Renders>> {
    let settings = &config.genomes;
    let genomes = genomes?;
    let opened = genomes.clone();
    let counting = tokio::task::spawn_blocking(move || opened.store()?.count());
    match tokio::time::timeout(PATIENCE, counting).await {
        Ok(Ok(Ok(count))) => tracing::info!("genomes: {count} in {}", genomes.path().display()),
        Ok(Ok(Err(error))) => {
            tracing::error!("{error}; requests for genomes fail until it can be opened (genomes.database)")
        }
        Ok(Err(_)) => {}
        Err(_) => {
            tracing::error!("genomes: the disk of the database does not answer; requests for genomes wait for it")
        }
    }
    let shared = Arc::new(Renders {
        genomes,
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
