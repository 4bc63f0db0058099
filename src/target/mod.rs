//! Where the box is: from `--target` to an [`Endpoint`].

#[cfg(target_os = "linux")]
pub mod sandbox;

use std::fmt;

use crate::transport::endpoint::Endpoint;

/// A box that was found: how to log in, and how the laptop reaches its services.
#[derive(Clone, Debug)]
pub struct Located {
    pub endpoint: Endpoint,
    pub provider: Provider,
    /// How the laptop reaches the box's services, most direct first.
    pub reach: Vec<Reach>,
}

/// One way from the laptop to the box's services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The box's own address; every port is the box's port.
    Address(String),
    /// Ports of the laptop that lead to the box: (port of the box, port of the laptop).
    Forwarded(Vec<(u16, u16)>),
}

/// What makes and stops the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Vagrant, with the provider it uses, such as `virtualbox`.
    Vagrant(String),
    Sandbox,
    /// A machine that was there before dwenv came.
    Ssh,
}

impl fmt::Display for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vagrant(provider) => write!(out, "vagrant ({provider})"),
            Self::Sandbox => out.write_str("sandbox"),
            Self::Ssh => out.write_str("ssh"),
        }
    }
}
