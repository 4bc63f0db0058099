//! Pulls images through Docker's API, telling how far each is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{Stream, StreamExt};

use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::facts::services::{connect_docker, docker_error};
use crate::resources::docker::as_listed;
use crate::transport::Transport;

/// A registry that sends nothing for this long is lost.
const SILENCE: Duration = Duration::from_secs(120);

/// Pulls each image in turn.
///
/// # Errors
/// In the registry's or Docker's own words, with the image that could not be had.
pub async fn images(
    transport: Arc<dyn Transport>,
    images: &[String],
    step: &str,
    events: &Events,
) -> Result<()> {
    let (docker, _) = connect_docker(transport).await?;
    for image in images {
        let options = CreateImageOptionsBuilder::default()
            .from_image(&as_listed(image))
            .build();
        let mut layers: HashMap<String, (i64, i64)> = HashMap::new();
        let mut said = docker.create_image(Some(options), None, None);
        while let Some(info) = next(&mut said, image).await? {
            let info = info.map_err(|error| {
                let Error { cause, message, .. } = docker_error(error);
                Error::failed(format!("{image} could not be pulled"))
                    .because(cause.unwrap_or(message))
            })?;
            if let (Some(layer), Some(detail)) = (info.id, info.progress_detail)
                && let (Some(current), Some(total)) = (detail.current, detail.total)
            {
                layers.insert(layer, (current, total));
            }
            let (had, all) = layers
                .values()
                .fold((0, 0), |(had, all), (current, total)| {
                    (had + current, all + total)
                });
            events.emit(Event::StepProgress {
                step: step.to_owned(),
                detail: format!("{image}: {}", info.status.unwrap_or_default()),
                fraction: (all > 0).then(|| had as f64 / all as f64),
            });
        }
    }
    Ok(())
}

/// What Docker says next; it tells of a pull many times a second while bytes come.
async fn next<T>(said: &mut (impl Stream<Item = T> + Unpin), image: &str) -> Result<Option<T>> {
    tokio::time::timeout(SILENCE, said.next())
        .await
        .map_err(|_| {
            Error::failed(format!("{image} could not be pulled"))
                .because(format!("nothing came for {} s", SILENCE.as_secs()))
        })
}
