//! Removes the box and everything in it.

use super::Environment;
use crate::error::{Error, ExitCode, Result};
use crate::output::Done;
use crate::target;
use crate::workshop::Secrets;

pub async fn run(environment: &Environment) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Leave).await?;
    let target = environment.one_target(&workshop)?;
    let question = format!("Remove the box {target} and everything in it?");
    if !environment.agreed(&question).await? {
        return Err(Error::usage("nothing was touched"));
    }
    target::destroy(&target, &workshop, &environment.folder, &environment.events).await?;
    let mut done = Done::new("destroy", format!("{target} is removed."));
    done.target = Some(target.to_string());
    done.hints = vec![format!("`dwenv up --target {target}` makes it anew")];
    environment.tell(|output| output.done(&done))?;
    Ok(ExitCode::Ready)
}
