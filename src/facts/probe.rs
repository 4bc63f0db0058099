//! What is asked, and from where.

use std::borrow::Cow;
use std::time::Duration;

use crate::target::laptop::Os;
use crate::workshop::Password;
use crate::workshop::authors::{Address, SqlLogin};

/// One question. Its id names the record that answers it.
#[derive(Clone, Debug)]
pub struct Probe {
    pub id: Cow<'static, str>,
    pub question: Question,
    /// After this long the probe is stopped, with its children.
    pub deadline: Duration,
    /// Serves only a diagnosis: asked in a second exec, after something failed or with `--deep`.
    pub deep: bool,
}

/// A question and the place it is asked from.
#[derive(Clone, Debug)]
pub enum Question {
    /// A fragment of POSIX sh for the login user's shell; as root it runs just the same. `$1` is the
    /// login user's home, `$2` the user's name.
    Login(String),
    /// A fragment of POSIX sh that needs root. `$1` and `$2` as above.
    Root(String),
    /// Docker's API, over the session, with the login user's rights.
    Docker {
        /// Whether it is to list its images too.
        images: bool,
    },
    /// A login to PostgreSQL at the box's own loopback address, over the session.
    SqlLogin {
        port: u16,
        role: String,
        database: String,
        password: Password,
    },
    /// `GET /` at the box's own loopback address, from within the box: a tunnel would wait for all others to open.
    Http { port: u16 },
    /// A query as that role, reading only: how many rows, and the first value.
    Sql { login: SqlLogin, query: String },
    /// `GET` of an address as the box sees it, over the session: the status, and the answer's beginning.
    HttpText(Address),
    /// A connection from the laptop to this port of the box, by each way there is.
    Reach { port: u16, service: Service },
    /// What an author wants to know of the laptop.
    Here(Here),
    /// Something about the laptop itself.
    Laptop(LaptopQuestion),
}

/// A question to the laptop itself.
#[derive(Clone, Debug)]
pub enum Here {
    /// A line for the laptop's own shell: its exit status, then what it said.
    Command(String),
    /// Whether a file is there, and its text if that is `read`.
    File { path: String, read: bool },
    /// Whether something listens at this port of 127.0.0.1.
    Port(u16),
    /// `GET` of an address: the status, and the answer's beginning.
    Http(String),
}

/// What has to answer at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Http,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaptopProgram {
    Vagrant,
    VirtualBox,
}

/// A question to the laptop, and the systems on which it has a meaning. It is not asked on others.
#[derive(Clone, Debug)]
pub struct LaptopQuestion {
    pub on: &'static [Os],
    pub ask: Ask,
}

/// What the laptop is asked. The answers are what its programs and files say, so that they can be judged
/// elsewhere.
///
/// In arguments and paths a word in braces stands for a place: `{project}`, `{vagrant_home}`,
/// `{machine_folder}`, `{home}`, `{private_key}`, the file that `{SSL_CERT_FILE}` or `{CURL_CA_BUNDLE}` names, and
/// `{release}` for the release of the running Linux kernel.
#[derive(Clone, Debug)]
pub enum Ask {
    /// The version of a program, as [`super::laptop::Program`].
    Version(LaptopProgram),
    /// A program: what it prints, and after a failure its stderr as well. Vagrant's log goes there too.
    Program {
        name: &'static str,
        arguments: Vec<String>,
        /// Variables set for it alone.
        variables: &'static [(&'static str, &'static str)],
    },
    /// Files and folders, by their paths: a map of [`super::laptop::Entry`].
    Files(Vec<&'static str>),
    /// The variables of this list that are set, without passwords.
    Variables(&'static [&'static str]),
    /// Which system and processor this is, and where the workshop's things are: [`super::laptop::Here`].
    Here,
    /// Ports of the laptop, connected to and bound, as [`super::laptop::PortTried`].
    Ports(Vec<u16>),
    /// Who uses KVM, as a list of [`super::laptop::KvmUser`].
    KvmUsers,
    /// What Vagrant keeps in the project, with owner and mode, as a list of [`super::laptop::KeptFile`].
    Kept,
    /// The date that a web server says, and the laptop's own, as [`super::laptop::WebDate`].
    WebDate(&'static str),
    /// Who vouches for these servers, as a list of [`super::laptop::Vouched`].
    Vouched(&'static [&'static str]),
}

/// The deadline of a probe that asks one local program.
const USUAL_DEADLINE: Duration = Duration::from_secs(8);

impl Probe {
    #[must_use]
    pub fn new(id: impl Into<Cow<'static, str>>, question: Question) -> Self {
        Self {
            id: id.into(),
            question,
            deadline: USUAL_DEADLINE,
            deep: false,
        }
    }

    /// A probe that serves only a diagnosis. Checks that stand on it apply where [`Context::deep`] says so.
    ///
    /// [`Context::deep`]: crate::resources::Context::deep
    #[must_use]
    pub fn deep(id: &'static str, question: Question) -> Self {
        Self {
            deep: true,
            ..Self::new(id, question)
        }
    }

    /// Whether a server on the internet is asked: days ahead only, for on the day a bad network would make
    /// everybody wait.
    #[must_use]
    pub fn asks_the_internet(&self) -> bool {
        matches!(&self.question, Question::Laptop(question)
            if matches!(question.ask, Ask::WebDate(_) | Ask::Vouched(_)))
    }

    /// Whether it is the same question. Laptops of different systems are asked differently, by one id.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let systems = |probe: &Self| match &probe.question {
            Question::Laptop(question) => question.on,
            _ => &[],
        };
        self.id == other.id && systems(self) == systems(other)
    }

    /// A question to laptops of these systems.
    #[must_use]
    pub fn laptop(id: &'static str, on: &'static [Os], ask: Ask) -> Self {
        Self::new(id, Question::Laptop(LaptopQuestion { on, ask }))
    }

    /// The same with another deadline.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}
