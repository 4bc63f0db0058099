//! Pulls images through Docker's API, telling how far each is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::{Stream, StreamExt};

use super::AGAIN;
use super::apply::{self, Applied, RECONNECTING, open_again};
use super::outcome::ChangeStatus;
use super::plan::Step;
use super::teller::stopping;
use super::{Target, Wishes};
use crate::doctor::explain;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Events, Failure};
use crate::facts::docker::{connect_docker, docker_error};
use crate::interrupt::Hold;
use crate::resources::change::Action;
use crate::resources::docker::as_listed;
use crate::transport::Transport;

/// A registry that sends nothing for this long is lost.
const SILENCE: Duration = Duration::from_secs(120);

/// How often images are pulled, each time over another link, before that is called a failure.
const LINKS: usize = 10;

/// Pulls the images of every step that is a pull. Needs a login that has the group docker. A link that is lost is
/// opened again, and stands in `transport` then.
///
/// # Errors
/// When the person stopped the run: once, before the next image; twice, at once.
pub async fn pulls(
    target: &dyn Target,
    transport: &mut Arc<dyn Transport>,
    steps: &[Step],
    wishes: &Wishes<'_>,
    applied: &mut Applied,
) -> Result<()> {
    let events = wishes.events;
    let mut hold = wishes.interrupts.hold();
    for (number, step) in steps.iter().enumerate() {
        let Action::Pull(images) = &step.change.action else {
            continue;
        };
        go_on(wishes, applied)?;
        let title = &step.change.title;
        let began = Instant::now();
        events.emit(Event::StepStarted {
            step: title.clone(),
        });
        let mut pulling = Pulling {
            target,
            transport,
            step: title,
            wishes,
        };
        let pulled = tokio::select! {
            pulled = pulling.over_any_link(images) => pulled,
            () = asked_twice(&mut hold, events) => Err(stopped(&format!("during: {title}"))),
        };
        applied.statuses[number] = match pulled {
            Ok(()) => {
                events.emit(Event::StepFinished {
                    step: title.clone(),
                    took: began.elapsed(),
                });
                ChangeStatus::Done
            }
            Err(error) => {
                let failure = Failure {
                    known: explain::cause_in_box(&error.to_string(), events.target()),
                    ..error.to_string().into()
                };
                events.emit(Event::StepFailed {
                    step: title.clone(),
                    failure: failure.clone(),
                });
                if error.kind == ErrorKind::Interrupted {
                    return Err(counted(error, applied));
                }
                ChangeStatus::Failed(failure)
            }
        };
    }
    Ok(())
}

/// Whether images are still to be pulled.
///
/// # Errors
/// When the person stopped the run.
pub fn go_on(wishes: &Wishes<'_>, applied: &Applied) -> Result<()> {
    match wishes.interrupts.asked() {
        0 => Ok(()),
        _ => Err(counted(stopped("before it pulled images"), applied)),
    }
}

/// Returns when the person wants the end at once, and tells each wish.
async fn asked_twice(hold: &mut Hold, events: &Events) {
    loop {
        hold.asked_again().await;
        events.note(stopping(hold.asked(), "image"));
        if hold.asked() > 1 {
            return;
        }
    }
}

fn stopped(when: &str) -> Error {
    Error::new(ErrorKind::Interrupted, format!("you stopped it {when}"))
}

fn counted(error: Error, applied: &Applied) -> Error {
    let message = format!("{}; {}", error.message, applied.count());
    Error { message, ..error }.hint(AGAIN)
}

/// One step's pull, as it goes on.
struct Pulling<'a> {
    target: &'a dyn Target,
    transport: &'a mut Arc<dyn Transport>,
    step: &'a str,
    wishes: &'a Wishes<'a>,
}

impl Pulling<'_> {
    /// Docker ends a pull whose client is gone, and keeps the layers that are whole: another one goes on with those.
    async fn over_any_link(&mut self, images: &[String]) -> Result<()> {
        for _ in 1..LINKS {
            let pulled = self.each(images).await;
            let is_stopped = matches!(&pulled, Err(error) if error.kind == ErrorKind::Interrupted);
            if pulled.is_ok() || is_stopped || !is_lost(self.transport.as_ref()).await {
                return pulled;
            }
            if self.wishes.interrupts.asked() > 0 {
                return Err(stopped("when the link to the box was lost"));
            }
            self.wishes.events.warning(
                "The link to the box is lost; it is opened again, and the images are pulled on",
            );
            *self.transport = open_again(self.target, Instant::now() + RECONNECTING).await?;
        }
        self.each(images).await
    }

    /// Pulls each image in turn.
    ///
    /// # Errors
    /// In the registry's or Docker's own words, with the image that could not be had.
    async fn each(&self, images: &[String]) -> Result<()> {
        let docker = connect_docker(self.transport.clone()).await?;
        for image in images {
            if self.wishes.interrupts.asked() > 0 {
                return Err(stopped(&format!("before {image} was pulled")));
            }
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
                self.tell(&mut layers, image, info);
            }
        }
        Ok(())
    }

    fn tell(&self, layers: &mut Layers, image: &str, info: CreateImageInfo) {
        let status = info.status.unwrap_or_default();
        if let Some(layer) = info.id {
            let bytes = info.progress_detail.unwrap_or_default();
            layers.hear(layer, &status, bytes.current, bytes.total);
        }
        self.wishes.events.emit(Event::StepProgress {
            step: self.step.to_owned(),
            detail: format!("{image}: {status}"),
            fraction: layers.fraction(),
        });
    }
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

/// Whether nothing can be asked over this link any more.
async fn is_lost(transport: &dyn Transport) -> bool {
    let asked = tokio::time::timeout(apply::SILENCE, transport.exec("true")).await;
    !matches!(asked, Ok(Ok(_)))
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
