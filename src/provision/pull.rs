//! Pulls images through Docker's API, telling how far each is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{Stream, StreamExt};

use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::facts::docker::{connect_docker, docker_error};
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
    let docker = connect_docker(transport).await?;
    for image in images {
        let options = CreateImageOptionsBuilder::default()
            .from_image(&as_listed(image))
            .build();
        let mut layers = Layers::default();
        let mut said = docker.create_image(Some(options), None, None);
        while let Some(info) = next(&mut said, image).await? {
            let info = info.map_err(|error| {
                let Error { cause, message, .. } = docker_error(error);
                Error::failed(format!("{image} could not be pulled"))
                    .because(cause.unwrap_or(message))
            })?;
            let status = info.status.unwrap_or_default();
            if let Some(layer) = info.id {
                let bytes = info.progress_detail.unwrap_or_default();
                layers.hear(layer, &status, bytes.current, bytes.total);
            }
            events.emit(Event::StepProgress {
                step: step.to_owned(),
                detail: format!("{image}: {status}"),
                fraction: layers.fraction(),
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

/// How far the layers of an image are. Docker counts the bytes of each twice: while they come, and while they are
/// unpacked.
#[derive(Default)]
struct Layers {
    layers: HashMap<String, Layer>,
    /// What was told last: a layer whose size becomes known late takes nothing of it back.
    told: f64,
}

/// The bytes of one layer.
#[derive(Default)]
struct Layer {
    all: i64,
    here: i64,
    unpacked: i64,
}

impl Layers {
    fn hear(&mut self, layer: String, status: &str, current: Option<i64>, total: Option<i64>) {
        let layer = self.layers.entry(layer).or_default();
        layer.all = total.unwrap_or(layer.all);
        let current = current.unwrap_or(0);
        match status {
            "Downloading" => layer.here = current,
            "Extracting" => (layer.here, layer.unpacked) = (layer.all, current),
            "Verifying Checksum" | "Download complete" => layer.here = layer.all,
            "Pull complete" => (layer.here, layer.unpacked) = (layer.all, layer.all),
            _ => {}
        }
    }

    /// From 0 to 1; none while no size is known.
    fn fraction(&mut self) -> Option<f64> {
        let all: i64 = self.layers.values().map(|layer| 2 * layer.all).sum();
        let had = self
            .layers
            .values()
            .map(|layer| layer.here + layer.unpacked);
        let had: i64 = had.sum();
        if all > 0 {
            self.told = self.told.max(had as f64 / all as f64);
        }
        (all > 0).then_some(self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::Layers;

    /// In the words of dockerd 26.1: an image of two layers, the second of which it begins late.
    #[test]
    fn a_pull_never_goes_back() {
        let mut layers = Layers::default();
        let mut hear = |layer: &str, status: &str, current, total| {
            layers.hear(layer.to_owned(), status, current, total);
            layers.fraction()
        };
        assert_eq!(hear("1", "Pulling from web", None, None), None);
        assert_eq!(hear("a", "Pulling fs layer", None, None), None);
        assert_eq!(hear("a", "Downloading", Some(50), Some(100)), Some(0.25));
        assert_eq!(hear("a", "Download complete", None, None), Some(0.5));
        assert_eq!(hear("a", "Extracting", Some(50), Some(100)), Some(0.75));
        assert_eq!(hear("b", "Downloading", Some(0), Some(100)), Some(0.75));
        assert_eq!(hear("a", "Pull complete", None, None), Some(0.75));
        assert_eq!(hear("b", "Extracting", Some(50), Some(100)), Some(0.875));
        assert_eq!(hear("b", "Pull complete", None, None), Some(1.0));
        assert_eq!(hear("1", "Digest: sha256:0", None, None), Some(1.0));
    }
}
