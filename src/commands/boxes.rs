//! The boxes of a run: found, connected to, and asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Event;
use crate::facts::laptop::Program;
use crate::facts::{Fact, Facts, Probe, Record, RecordStatus, Records, collect, here, laptop};
use crate::output::Output;
use crate::output::progress::Progress;
use crate::provision;
use crate::resources::reach::VagrantProgram;
use crate::resources::system::{Connection, ConnectionFailure};
use crate::resources::units::Units;
use crate::resources::{self, Context};
use crate::secret::Secret;
use crate::target::laptop::Os;
use crate::target::{self, Located, Provider, Target};
use crate::transport::Transport;
use crate::transport::session::{self, Passphrase};
use crate::workshop::Workshop;

/// The script that waits for the box's services ends by itself before that.
const SETTLING: Duration = Duration::from_secs(28);

/// One target of a run.
pub struct Remote<'a> {
    environment: &'a Environment,
    workshop: &'a Workshop,
    target: Target,
    /// As the person would write it.
    pub name: String,
    provider: Provider,
    probes: Vec<Probe>,
    /// Those that serve only a diagnosis.
    deep_probes: Vec<Probe>,
    found: Mutex<Result<Located>>,
    /// How long the last connecting took.
    connecting: Mutex<Duration>,
}

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

    /// Looks for no box: for [`Self::laptop_facts`] alone.
    pub async fn not_yet(
        environment: &'a Environment,
        workshop: &'a Workshop,
        target: &Target,
    ) -> Remote<'a> {
        let provider = target::provider(target, &environment.folder).await;
        let found = Err(Error::new(
            ErrorKind::Unreachable,
            format!("{target} was not looked for"),
        ));
        Self::of(environment, workshop, target, provider, found)
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
            probes,
            deep_probes,
            found: Mutex::new(found),
            connecting: Mutex::default(),
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
            deep: false,
        }
    }

    /// Connects and asks everything; a box that cannot be asked is a fact as well. Deep probes are asked
    /// when `wants_deep` says so of the facts, over the same connection.
    ///
    /// # Errors
    /// Only where the command line or the configuration is wrong.
    pub async fn facts(&self, wants_deep: impl FnOnce(&Facts) -> bool) -> Result<Facts> {
        use provision::Target as _;
        let records = match self.connect().await {
            Ok(transport) => {
                let facts = Facts::new(self.probe(transport.clone()).await);
                let mut records = facts.records().clone();
                if !self.deep_probes.is_empty() && wants_deep(&facts) {
                    let mut later = collect::over(transport.clone(), &self.deep_probes, &[]).await;
                    self.add_laptop(&mut later, &self.deep_probes).await;
                    records.add(Records {
                        deep: true,
                        ..later
                    });
                }
                self.tell_tally(transport.as_ref());
                records
            }
            Err(error) if error.kind == ErrorKind::Config => return Err(error),
            Err(error) if error.kind == ErrorKind::Usage => {
                let facts = Facts::new(self.unreached(&error).await);
                // Whoever has no Vagrant hears that first, before what Vagrant would need besides.
                return if self.lacks_vagrant(&facts) {
                    Ok(facts)
                } else {
                    Err(error)
                };
            }
            Err(error) => self.unreached(&error).await,
        };
        Ok(Facts::new(records))
    }

    /// What can be known without a box: the laptop's side alone, its deep probes too. Nothing is connected
    /// to, and there need not be a box yet.
    pub async fn laptop_facts(&self) -> Facts {
        let mut records = Records {
            taken_at: collect::seconds_since_1970(),
            deep: true,
            ..Records::default()
        };
        self.add_laptop(&mut records, &self.probes).await;
        self.add_laptop(&mut records, &self.deep_probes).await;
        Facts::new(records)
    }

    fn lacks_vagrant(&self, facts: &Facts) -> bool {
        let is_vagrants = matches!(self.provider, Provider::Vagrant(_));
        let vagrant = facts.get::<VagrantProgram>();
        is_vagrants && !matches!(*vagrant, Ok(VagrantProgram(Program::Version(_))))
    }

    /// What the connection has cost, for `-v`.
    pub fn tell_tally(&self, transport: &dyn Transport) {
        self.environment
            .events
            .detail(format!("{}: {}", self.name, transport.tally()));
    }

    /// The records of a box that could not be connected to: the laptop's, and why.
    async fn unreached(&self, error: &Error) -> Records {
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
            taken_at: collect::seconds_since_1970(),
            ..Records::default()
        };
        records.insert(Connection::PROBE, record);
        self.add_laptop(&mut records, &self.probes).await;
        records
    }

    async fn add_laptop(&self, records: &mut Records, probes: &[Probe]) {
        for (id, record) in here::ask(probes).await {
            records.insert(id, record);
        }
        if let Provider::Vagrant(_) = self.provider {
            for (id, record) in laptop::ask(probes, &self.environment.folder).await {
                records.insert(id, record);
            }
        }
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
        });
        let began = Instant::now();
        let opened = session::connect(&located.endpoint, &self.environment.events, asks).await;
        *self
            .connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = began.elapsed();
        Ok(Arc::new(opened?))
    }

    /// Waits until the box's services have started that were about to. How they are is asked again after
    /// that, so nothing that goes wrong here is lost.
    async fn await_settled(&self, transport: &dyn Transport) {
        let step = format!("Waiting for the services of {}", self.name);
        let began = Instant::now();
        let events = &self.environment.events;
        events.emit(Event::StepStarted { step: step.clone() });
        let script = Units::await_settled(self.workshop);
        if let Ok(mut exec) = transport.exec(&script).await {
            let mut said = String::new();
            let reading = exec.stdout.read_to_string(&mut said);
            let _ = tokio::time::timeout(SETTLING, reading).await;
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

    fn probe(&self, transport: Arc<dyn Transport>) -> BoxFuture<'_, Records> {
        Box::pin(async move {
            let ways = self
                .located()
                .map(|located| located.reach)
                .unwrap_or_default();
            let mut records = collect::over(transport.clone(), &self.probes, &ways).await;
            if matches!(Units::observe(&records), Ok(units) if units.are_settling()) {
                self.await_settled(transport.as_ref()).await;
                records = collect::over(transport, &self.probes, &ways).await;
            }
            let mut connected = Record::done("");
            connected.duration_ms = self.connecting_ms();
            records.insert(Connection::PROBE, connected);
            self.add_laptop(&mut records, &self.probes).await;
            records
        })
    }
}

async fn locate(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
) -> Result<Located> {
    let identity = environment.global.identity.as_deref();
    let folder = &environment.folder;
    let mut located =
        target::locate(target, workshop, folder, identity, &environment.events).await?;
    located.endpoint.timeout = environment.timeout();
    Ok(located)
}

/// Asks the person at the terminal, one question after the other.
struct AskPassphrase {
    output: Arc<Output>,
    progress: Arc<Mutex<Progress>>,
}

impl Passphrase for AskPassphrase {
    fn ask(&self, what: &str) -> Option<Secret> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.suspend(|| self.output.passphrase(&format!("Passphrase of {what}")))
    }
}
