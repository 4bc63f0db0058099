//! Which bridges a store's machines need: made with the first of a network, removed with the last.

use std::path::PathBuf;

use super::network::{self, Bridge};
use super::{Lock, Spec, Store, spec};
use crate::error::{Error, Result};

impl Store {
    pub(super) fn bridge(&self, spec: &Spec) -> Bridge {
        Bridge {
            name: spec::bridge_name(&self.folder, spec.network()),
            network: spec.network(),
        }
    }

    pub(super) fn make_bridge(&self, bridge: &Bridge) -> Result<()> {
        let _network = network::lock()?;
        network::record(&self.bridges(), bridge)?;
        bridge.ensure()
    }

    fn bridges(&self) -> PathBuf {
        self.folder.join("bridges")
    }

    /// Removes the bridges that no machine needs any more. `mine` is the one that the caller holds.
    pub(super) fn release_bridges(&self, mine: &str) -> Result<()> {
        let _network = network::lock()?;
        for bridge in network::recorded(&self.bridges()) {
            if !self.needed(&bridge, mine)? {
                bridge.remove()?;
                network::forget(&self.bridges(), &bridge);
            }
        }
        Ok(())
    }

    fn needed(&self, bridge: &Bridge, mine: &str) -> Result<bool> {
        for name in self.names() {
            let home = self.home(&name);
            let recorded = home.run().map(|run| run.bridge);
            // Where its record was lost, its declaration still tells which bridge it is on.
            let declared = || home.machine().ok().map(|it| self.bridge(&it.spec));
            if recorded.or_else(declared).as_ref() != Some(bridge) {
                continue;
            }
            // One that another run is starting has no processes yet, but that run holds its lock.
            let busy = || -> Result<bool> {
                Ok(name != mine && Lock::attempt(&self.lock_path(&name))?.is_none())
            };
            if home.alive().any() || busy()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn refuse_taken_address(&self, spec: &Spec) -> Result<()> {
        for name in self.names().into_iter().filter(|name| *name != spec.name) {
            let home = self.home(&name);
            let same = home
                .machine()
                .is_ok_and(|machine| machine.spec.address == spec.address);
            if same && home.alive().any() {
                return Err(Error::failed(format!(
                    "the sandbox `{name}` already has the address {}",
                    spec.address
                ))
                .hint(format!("Stop it with `dwenv down --target sandbox:{name}`, or give this one another address.")));
            }
        }
        Ok(())
    }
}
