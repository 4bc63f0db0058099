//! Stops the box; everything in it is kept.

use super::Environment;
use crate::error::{ExitCode, Result};
use crate::output::Done;
use crate::target;
use crate::workshop::Secrets;

pub async fn run(environment: &Environment) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Leave).await?;
    let target = environment.one_target(&workshop)?;
    target::down(&target, &workshop, &environment.folder, &environment.events).await?;
    let mut done = Done::new(
        "down",
        format!("{target} is stopped; everything in it is kept."),
    );
    done.target = Some(target.to_string());
    done.hints = vec!["`dwenv up` starts it again".to_owned()];
    environment.tell(|output| output.done(&done))?;
    Ok(ExitCode::Ready)
}
