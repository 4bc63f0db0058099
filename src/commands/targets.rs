//! Lists the boxes that can be used here.

use super::Environment;
use crate::error::{ExitCode, Result};
use crate::target;
use crate::workshop::Secrets;

pub async fn run(environment: &Environment) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Leave).await?;
    let rows = target::list_targets(&workshop, &environment.folder).await?;
    environment.tell(|output| output.targets(&rows))?;
    Ok(ExitCode::Ready)
}
