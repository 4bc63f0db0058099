//! The boxes of a run: found, connected to, and asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::Environment;
use super::passphrase::{AskPassphrase, Stopwatch};
use crate::date::seconds_since_1970;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Events};
use crate::facts::laptop::Program;
use crate::facts::sudo::Sudo;
use crate::facts::{Fact, Facts, Probe, Record, RecordStatus, Records, collect, here, laptop};
use crate::provision;
use crate::resources::clock::Clock;
use crate::resources::postgres::facts::Clusters;
use crate::resources::reach::VagrantProgram;
use crate::resources::server::facts::Http;
use crate::resources::system::{Connection, ConnectionFailure};
use crate::resources::units::Units;
use crate::resources::{self, Context};
use crate::target::laptop::Os;
use crate::target::{self, CONNECT_TIMEOUT, Located, Provider, Target};
use crate::transport::Transport;
use crate::transport::session;
use crate::workshop::Workshop;

/// The script that waits for the box's services ends by itself before that.
const SETTLING: Duration = Duration::from_secs(28);

/// How much of a report's time is for finding what it is of. The rest is kept for asking.
fn for_finding(deadline: Duration) -> Duration {
    deadline * 2 / 3
}

/// One target of a run.
pub struct Remote<'a> {
    environment: &'a Environment,
    workshop: &'a Workshop,
    target: Target,
    /// As the person would write it.
    pub name: String,
    provider: Provider,
    /// Where what happens to this box is told.
    pub events: Events,
    probes: Vec<Probe>,
    /// Those that serve only a diagnosis.
    deep_probes: Vec<Probe>,
    /// Whether a plan is made of what they answer as well.
    diagnoses: bool,
    found: Mutex<Result<Located>>,
    /// How long the last connecting took.
    connecting: Mutex<Duration>,
    /// When a report has to be there; what has not answered by then is not waited for.
    until: Option<Instant>,
    sudo: Sudo,
    /// How long the person had been waited for when `until` was set.
    waited: Duration,
    /// How long the person has been asked what opens a key.
    asking: Arc<Stopwatch>,
    /// Why the box let nobody in where it was looked for first.
    refused: Mutex<Option<Error>>,
}

/// The longest that a box is waited for where `--timeout` does not say so.
const LONGEST_USUAL: Duration = Duration::from_secs(60);

/// So long is slept at least where a time that is nearly over may be prolonged.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl<'a> Remote<'a> {
    /// Looks where the box is. That it cannot be found is told when it is asked for.
    pub async fn find(
        environment: &'a Environment,
        workshop: &'a Workshop,
        target: &Target,
    ) -> Remote<'a> {
        let found = locate(environment, workshop, target).await;
        let provider = match &found {
            Ok(located) => located.provider.clone(),
            Err(_) => target::provider(target, &environment.folder).await,
        };
        Self::of(environment, workshop, target, provider, found)
    }

    /// The same for a report that is to be there after `deadline`.
    pub async fn find_within(
        environment: &'a Environment,
        workshop: &'a Workshop,
        target: &Target,
        deadline: Duration,
    ) -> Remote<'a> {
        let until = Instant::now() + deadline;
        let finding = Self::find(environment, workshop, target);
        let found = tokio::time::timeout(for_finding(deadline), finding).await;
        let mut remote = found.unwrap_or_else(|_| {
            let late = format!(
                "{target} was not found within {} s",
                for_finding(deadline).as_secs()
            );
            let late = Error::new(ErrorKind::Unreachable, late)
                .hint("Give it longer: `dwenv doctor --deadline 2m`");
            let provider = target::usual_provider(target, &environment.folder);
            Self::of(environment, workshop, target, provider, Err(late))
        });
        remote.until = Some(until);
        remote.waited = remote.sudo.waited();
        remote
    }

    /// Looks for no box: for [`Self::laptop_facts`] alone, which are to be there after `deadline`.
    pub async fn not_yet(
        environment: &'a Environment,
        workshop: &'a Workshop,
        target: &Target,
        deadline: Duration,
    ) -> Remote<'a> {
        let until = Instant::now() + deadline;
        let asking = target::provider(target, &environment.folder);
        let provider = tokio::time::timeout(for_finding(deadline), asking)
            .await
            .unwrap_or_else(|_| target::usual_provider(target, &environment.folder));
        let found = Err(Error::new(
            ErrorKind::Unreachable,
            format!("{target} was not looked for"),
        ));
        Self {
            until: Some(until),
            ..Self::of(environment, workshop, target, provider, found)
        }
    }

    fn of(
        environment: &'a Environment,
        workshop: &'a Workshop,
        target: &Target,
        provider: Provider,
        found: Result<Located>,
    ) -> Remote<'a> {
        let (deep_probes, probes) = resources::probes(workshop)
            .into_iter()
            .partition(|probe| probe.deep);
        Self {
            environment,
            workshop,
            name: target.to_string(),
            provider,
            events: environment.events.of(&target.to_string()),
            probes,
            deep_probes,
            diagnoses: false,
            found: Mutex::new(found),
            connecting: Mutex::default(),
            until: None,
            sudo: environment.sudo.at(target.to_string()),
            waited: Duration::ZERO,
            asking: Arc::default(),
            refused: Mutex::default(),
            target: target.clone(),
        }
    }

    pub fn located(&self) -> Result<Located> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            workshop: self.workshop,
            provider: &self.provider,
            target: &self.name,
            laptop: Os::this(),
            before: false,
            deep: self.diagnoses,
        }
    }

    /// For a box in which something is wrong: a plan for it knows what a diagnosis sees.
    #[must_use]
    pub fn diagnosing(self) -> Self {
        Self {
            diagnoses: true,
            ..self
        }
    }

    /// Connects and asks everything; a box that cannot be asked is a fact as well. Deep probes are asked
    /// when `wants_deep` says so of the facts, over the same connection; over another where something that
    /// hangs in the box holds that one up.
    ///
    /// # Errors
    /// Only where the command line or the configuration is wrong.
    pub async fn facts(&self, wants_deep: impl FnOnce(&Facts) -> bool) -> Result<Facts> {
        let (laptop, asked) = tokio::join!(self.ask_laptop(&self.probes), self.connect_and_ask());
        let (mut records, transport) = match asked {
            Ok((records, transport)) => (records, Some(transport)),
            Err(error) if error.kind == ErrorKind::Config => return Err(error),
            Err(error) => {
                let mut records = self.unreached(&error);
                records.add(laptop.clone());
                // Whoever has no Vagrant hears that first, before what Vagrant would need besides.
                let facts = Facts::new(records);
                if error.kind == ErrorKind::Usage && !self.lacks_vagrant(&facts) {
                    return Err(error);
                }
                (facts.records().clone(), None)
            }
        };
        records.add(laptop);
        let Some(mut transport) = transport else {
            return Ok(Facts::new(records));
        };
        let facts = Facts::new(records);
        let mut records = facts.records().clone();
        if !self.deep_probes.is_empty() && wants_deep(&facts) {
            if transport.is_held_up() {
                self.tell_tally(transport.as_ref());
                transport = self.connect_or_look_again().await.unwrap_or(transport);
            }
            records.add(self.ask_deeper(transport.clone()).await);
        }
        self.tell_tally(transport.as_ref());
        Ok(Facts::new(records))
    }

    /// The laptop's side, and why there is no other.
    pub async fn facts_without(&self, error: &Error) -> Facts {
        let mut records = self.unreached(error);
        records.add(self.ask_laptop(&self.probes).await);
        Facts::new(records)
    }

    /// What only a diagnosis asks, but for servers on the internet.
    async fn ask_deeper(&self, transport: Arc<dyn Transport>) -> Records {
        let asked = collect::over(transport, &self.deep_probes, &[], &self.sudo, self.until());
        let near: Vec<Probe> = self
            .deep_probes
            .iter()
            .filter(|probe| !probe.asks_the_internet())
            .cloned()
            .collect();
        let (mut records, laptop) = tokio::join!(asked, self.ask_laptop(&near));
        records.add(laptop);
        records.deep = true;
        records
    }

    async fn connect_and_ask(&self) -> Result<(Records, Arc<dyn Transport>)> {
        let mut connecting = Box::pin(self.connect_or_look_again());
        let transport = loop {
            let until = self.until();
            tokio::select! {
                connected = &mut connecting => break connected?,
                // While the person types, the time is not over: look again, but not in a hurry.
                () = tokio::time::sleep(collect::left(until).max(LOOK_AGAIN)) => {
                    if collect::left(self.until()).is_zero() {
                        return Err(self.late());
                    }
                }
            }
        };
        Ok((self.ask_box(transport.clone()).await, transport))
    }

    /// What is wrong with a box that has let nobody in when the time is over: what it was the first time, if that is
    /// known.
    fn late(&self) -> Error {
        let first = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone().unwrap_or_else(|| {
            let late = format!("{} let nobody in before the time was over", self.name);
            Error::new(ErrorKind::Unreachable, late)
        })
    }

    /// When the answers have to be there.
    fn until(&self) -> Instant {
        match self.until {
            None => Instant::now() + collect::TOTAL_DEADLINE,
            // The time in which the person was asked something does not count.
            Some(until) => {
                until + self.sudo.waited().saturating_sub(self.waited) + self.asking.total()
            }
        }
    }

    /// What can be known without a box: the laptop's side alone, its deep probes too. Nothing is connected
    /// to, and there need not be a box yet.
    pub async fn laptop_facts(&self) -> Facts {
        let (mut records, deep) = tokio::join!(
            self.ask_laptop(&self.probes),
            self.ask_laptop(&self.deep_probes)
        );
        records.taken_at = seconds_since_1970();
        records.add(Records { deep: true, ..deep });
        Facts::new(records)
    }

    fn lacks_vagrant(&self, facts: &Facts) -> bool {
        let is_vagrants = matches!(self.provider, Provider::Vagrant(_));
        let vagrant = facts.get::<VagrantProgram>();
        is_vagrants && !matches!(*vagrant, Ok(VagrantProgram(Program::Version(_))))
    }

    /// What the connection has cost, for `-v`.
    pub fn tell_tally(&self, transport: &dyn Transport) {
        self.events
            .detail(format!("{}: {}", self.name, transport.tally()));
    }

    /// The records of a box that could not be connected to: why.
    fn unreached(&self, error: &Error) -> Records {
        let failure = ConnectionFailure {
            message: error.to_string(),
            hints: error.hints.clone(),
        };
        let record = Record {
            status: RecordStatus::Done(1),
            output: serde_json::to_string(&failure).unwrap_or_default(),
            duration_ms: self.connecting_ms(),
        };
        let mut records = Records {
            taken_at: seconds_since_1970(),
            ..Records::default()
        };
        records.insert(Connection::PROBE, record);
        records
    }

    /// The answers of the laptop: the author's questions, and its own programs.
    async fn ask_laptop(&self, probes: &[Probe]) -> Records {
        let mut records = Records::default();
        let until = self.until();
        let programs = async {
            match self.provider {
                Provider::Vagrant(_) => laptop::ask(probes, &self.environment.folder, until).await,
                _ => Vec::new(),
            }
        };
        let (authors, programs) = tokio::join!(here::ask(probes, until), programs);
        for (id, record) in authors.into_iter().chain(programs) {
            records.insert(id, record);
        }
        records
    }

    fn connecting_ms(&self) -> u64 {
        let took = self
            .connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }

    async fn open(&self, located: &Located) -> Result<Arc<dyn Transport>> {
        let asks = Arc::new(AskPassphrase {
            output: self.environment.output.clone(),
            progress: self.environment.progress.clone(),
            known: self.environment.passphrases.clone(),
            tried: Mutex::default(),
            asking: self.asking.clone(),
        });
        let began = Instant::now();
        let opened = session::connect(&located.endpoint, &self.events, asks).await;
        *self
            .connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = began.elapsed();
        Ok(Arc::new(opened?))
    }

    /// Everything but the laptop's own programs, once the box's services have started.
    async fn ask_box(&self, transport: Arc<dyn Transport>) -> Records {
        let ways = self
            .located()
            .map(|located| located.reach)
            .unwrap_or_default();
        let until = self.until();
        let mut records =
            collect::over(transport.clone(), &self.probes, &ways, &self.sudo, until).await;
        if let Some(patience) = settling(self.workshop, &records) {
            self.await_settled(transport.as_ref(), patience).await;
            let again =
                collect::over(transport, &self.probes, &ways, &self.sudo, self.until()).await;
            // What was seen while the services started counts, where there was no time to look again.
            if again.text(Units::PROBE).is_ok() {
                records = again;
            }
        }
        let mut connected = Record::done("");
        connected.duration_ms = self.connecting_ms();
        records.insert(Connection::PROBE, connected);
        records
    }

    /// Waits until the box's services have started that were about to. How they are is asked again after
    /// that, so nothing that goes wrong here is lost.
    async fn await_settled(&self, transport: &dyn Transport, patience: Duration) {
        let step = format!("Waiting for the services of {}", self.name);
        let began = Instant::now();
        let events = &self.events;
        events.emit(Event::StepStarted { step: step.clone() });
        let script = Units::await_settled(self.workshop);
        // The half of what is left is for looking again.
        let patience = self
            .until
            .map_or(patience, |_| patience.min(collect::left(self.until()) / 2));
        if let Ok(mut exec) = transport.exec(&script).await {
            let mut said = String::new();
            let reading = exec.stdout.read_to_string(&mut said);
            let _ = tokio::time::timeout(patience, reading).await;
        }
        events.emit(Event::StepFinished {
            step,
            took: began.elapsed(),
        });
    }

    /// Connects where the box was; if it is not there, forgets what was remembered and looks once more.
    async fn connect_or_look_again(&self) -> Result<Arc<dyn Transport>> {
        let located = self.located()?;
        match self.open(&located).await {
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::HostKey) => {
                if !target::forget(&self.target, &self.environment.folder) {
                    return Err(error);
                }
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                let found = locate(self.environment, self.workshop, &self.target).await;
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
                self.open(&found?).await
            }
            opened => opened,
        }
    }
}

impl provision::Target for Remote<'_> {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Transport>>> {
        Box::pin(self.connect_or_look_again())
    }

    fn sudo(&self) -> &Sudo {
        &self.sudo
    }

    fn probe(&self, transport: Arc<dyn Transport>) -> BoxFuture<'_, Records> {
        Box::pin(async move {
            let mut records = self.ask_box(transport.clone()).await;
            records.add(self.ask_laptop(&self.probes).await);
            if self.diagnoses {
                records.add(self.ask_deeper(transport).await);
            }
            records
        })
    }
}

/// How long to wait at most where what was seen of the box's services is not how it will be in a moment.
fn settling(workshop: &Workshop, records: &Records) -> Option<Duration> {
    let units = Units::observe(records).ok()?;
    let answers = |clusters: Clusters| clusters.server.is_some();
    if units.are_settling(Clusters::observe(records).is_ok_and(answers)) {
        return Some(SETTLING);
    }
    let is_silent = matches!(Http::observe(records), Ok(Http(None)));
    let now = Clock::observe(records).ok()?.now();
    let left = units.left_to_begin(&workshop.server.unit, now);
    left.filter(|_| is_silent).map(Duration::from_secs)
}

async fn locate(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
) -> Result<Located> {
    let identity = environment.global.identity.as_deref();
    let folder = &environment.folder;
    let events = environment.events.of(&target.to_string());
    let mut located = target::locate(target, workshop, folder, identity, &events).await?;
    // OpenSSH's ConnectTimeout is for less than a login and all that is asked later: a short one is not heeded.
    let usual = located
        .endpoint
        .timeout
        .clamp(CONNECT_TIMEOUT, LONGEST_USUAL);
    located.endpoint.timeout = environment.global.timeout.unwrap_or(usual);
    Ok(located)
}
