//! Lists the boxes that can be used here.

use super::Environment;
use crate::error::{ExitCode, Result};
use crate::output::Listed;
use crate::target;
use crate::workshop::Secrets;

pub async fn run(environment: &Environment) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Leave).await?;
    let rows = target::list_targets(&workshop, &environment.folder).await?;
    let listed: Vec<Listed> = rows
        .into_iter()
        .map(|row| Listed {
            name: row.name,
            provider: row.provider,
            state: row.state,
            address: Some(row.address).filter(|address| !address.is_empty()),
            default: row.last_used,
        })
        .collect();
    environment.tell(|output| output.targets(&listed))?;
    Ok(ExitCode::Ready)
}
