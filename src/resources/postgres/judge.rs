//! What doctor says of PostgreSQL's drifts.

use super::super::files::Keeping;
use super::super::{Context, Judgement, releases};
use super::Drift;
use super::facts::{Stored, WrongSetting};
use super::files::wrong_line;
use super::schema::SchemaDrift;
use super::transaction;
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::Facts;
use crate::quote;

pub fn judge(context: Context, facts: &Facts, drift: &Drift) -> Judgement {
    let (text, commands, by) = remedy(context, &Keeping::of(facts), drift);
    Judgement {
        status: match drift {
            // Rows may be sorted otherwise, or missed by an index; the workshop goes on.
            // What is declared is looked at one by one; what else was set is somebody's own. Where only the schema's
            // file is another, the tables are right, and so is the server.
            Drift::Collations(_) | Drift::SettingsOwed { .. } | Drift::SchemaFileChanged { .. } => {
                Status::Warn
            }
            _ => Status::Fail,
        },
        summary: summary(context, drift),
        remedy: Some(Remedy {
            text: text.to_owned(),
            commands,
            by,
        }),
    }
}

fn summary(context: Context, drift: &Drift) -> String {
    let declared = &context.workshop.postgres;
    match drift {
        Drift::PackageMissing => format!("Not installed: {}", releases::POSTGRES),
        Drift::TooOld { found, wanted } => {
            format!("The box has PostgreSQL {found}; the workshop needs {wanted} or newer")
        }
        Drift::NoCluster => "PostgreSQL is installed, but there is no cluster of data".to_owned(),
        Drift::OtherPort { cluster } => format!(
            "The cluster {}/{} has port {}, not {}",
            cluster.version, cluster.name, cluster.port, declared.port
        ),
        Drift::Masked { unit } => format!("{unit} is masked: somebody forbade it to start"),
        Drift::Failed { cluster, said } => format!(
            "The cluster {}/{} does not start; it says: {said}",
            cluster.version, cluster.name
        ),
        Drift::NotAuto { cluster } => format!(
            "The cluster {}/{} runs, but its start.conf says `{}`: it will not start with the box",
            cluster.version, cluster.name, cluster.start
        ),
        Drift::DataModes {
            folder,
            owner,
            mode,
            ..
        } => format!(
            "PostgreSQL's folder {folder} belongs to {owner} and has the mode {mode}; \
             it wants its own, with 700"
        ),
        Drift::DataHeld {
            folder,
            pid,
            process,
            ..
        } => format!(
            "The lock in {folder} names the process {pid}, which is {process} and not PostgreSQL"
        ),
        Drift::DataFull {
            folder, free_kb, ..
        } => {
            format!("There is no room where {folder} lies: {free_kb} kB are free")
        }
        Drift::Stopped { cluster } => {
            format!(
                "The cluster {}/{} does not run",
                cluster.version, cluster.name
            )
        }
        Drift::NotEnabled => "PostgreSQL runs, but will not start with the box".to_owned(),
        Drift::SettingsWrong { lines, .. } => {
            let told = lines
                .iter()
                .map(|wrong| format!("line {} of {}: {}", wrong.line, wrong.file, wrong.error));
            let told: Vec<String> = told.collect();
            format!(
                "PostgreSQL runs, but would not start again with its settings: {}",
                told.join("; ")
            )
        }
        Drift::SettingsOwed { pending } if pending.is_empty() => {
            "PostgreSQL has not read its files of settings since they were last written".to_owned()
        }
        Drift::SettingsOwed { pending } => format!(
            "PostgreSQL still runs by what its files said before, until it is started again: {}",
            pending.join(", ")
        ),
        Drift::Unusable { said } => format!("PostgreSQL does not answer its superuser: {said}"),
        Drift::Listen { found } => format!(
            "PostgreSQL listens on `{found}`, not on `{}`",
            declared.listen_addresses
        ),
        Drift::Deaf => format!(
            "PostgreSQL runs, but nobody listens on port {}: it was taken when PostgreSQL started",
            declared.port
        ),
        Drift::RulesBroken { lines, .. } => {
            let told = lines
                .iter()
                .map(|(line, error)| format!("line {line}: {error}"));
            let told: Vec<String> = told.collect();
            format!("pg_hba.conf is wrong in {}", told.join("; "))
        }
        Drift::Collations(databases) => format!(
            "Made with other sorting rules than the system's library has now: {}",
            databases.join(", ")
        ),
        Drift::PasswordStored { how } => match how {
            Stored::Nothing => format!("The role {} has no password", declared.role),
            Stored::Md5 => format!(
                "The password of {} is stored as md5, and the rules ask for scram-sha-256",
                declared.role
            ),
            Stored::Scram | Stored::Other => format!(
                "The password of {} is stored in a form that the rules do not ask for",
                declared.role
            ),
        },
        Drift::RulesNotLoaded => {
            "PostgreSQL has not read pg_hba.conf since it was last written".to_owned()
        }
        Drift::RulesMissing { addresses } if addresses.is_empty() => {
            "pg_hba.conf lets in more than is declared".to_owned()
        }
        Drift::RulesMissing { addresses } => format!(
            "The head of pg_hba.conf does not let {} in from {}",
            declared.role,
            addresses.join(", ")
        ),
        Drift::RoleMissing => format!("There is no role {}", declared.role),
        Drift::RoleUnsuitable { what } => format!("The role {} {what}", declared.role),
        Drift::PasswordRefused { said } => {
            format!("PostgreSQL refuses {}'s password: {said}", declared.role)
        }
        Drift::DatabaseMissing => format!("There is no database {}", declared.database),
        Drift::DatabaseOwner { owner } => format!(
            "The database {} belongs to {owner}, not to {}",
            declared.database, declared.role
        ),
        Drift::Schema(drifts) => {
            // Where nothing mends it, the reason is told with it.
            let told = |drift: &SchemaDrift| drift.mend("").err().unwrap_or(drift.summary());
            let lines: Vec<String> = drifts.iter().map(told).collect();
            format!("In {}: {}", declared.database, lines.join("; "))
        }
        Drift::SchemaFileChanged { at } => {
            let when = match at.as_str() {
                "" => String::new(),
                at => format!(" on {at}"),
            };
            format!(
                "The tables are as declared, and {} was another file when it made them{when}",
                declared.create_schema.path
            )
        }
    }
}

/// `line 3` or `lines 3, 4`, for a sentence.
pub fn named_lines(lines: &[(u32, String)]) -> String {
    let numbers: Vec<String> = lines.iter().map(|(line, _)| line.to_string()).collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    format!("{word} {}", numbers.join(", "))
}

/// `line 3 of /etc/…/postgresql.conf`, and so on, for a sentence.
pub fn named_files(lines: &[WrongSetting]) -> String {
    let each = lines
        .iter()
        .map(|wrong| format!("line {} of {}", wrong.line, wrong.file));
    each.collect::<Vec<_>>().join(", ")
}

/// Whether provision leaves it, because mending it could lose what is in the rows.
fn loses(drift: &SchemaDrift) -> bool {
    drift.mend("").is_err()
}

fn remedy(context: Context, keeping: &Keeping, drift: &Drift) -> (&'static str, Vec<String>, By) {
    let declared = &context.workshop.postgres;
    let in_box = |commands: &[String]| -> Vec<String> {
        commands
            .iter()
            .map(|command| context.in_box(command))
            .collect()
    };
    let provision = || vec![format!("dwenv provision --target {}", context.target)];
    // Whoever tried often is refused by systemd until it forgets; and a restart of the service that stands for
    // all clusters is well even where none of them starts.
    let restart = |unit: &str| {
        [
            format!("sudo systemctl reset-failed {unit}"),
            format!("sudo systemctl restart {unit}"),
        ]
    };
    let you = |text, commands| (text, commands, By::You);
    match drift {
        Drift::PackageMissing => you("Install it", provision()),
        Drift::TooOld { .. } => ("Use a box with a newer release", Vec::new(), By::Organiser),
        Drift::NoCluster => you("Make the cluster", provision()),
        Drift::OtherPort { .. } => you("Give the cluster the declared port", provision()),
        Drift::Masked { unit } => you(
            "Allow it again",
            in_box(&[
                format!("sudo systemctl unmask {unit}"),
                "sudo systemctl start postgresql".to_owned(),
                format!("sudo systemctl start {unit}"),
            ]),
        ),
        Drift::Stopped { .. } | Drift::NotEnabled | Drift::NotAuto { .. } => {
            you("Start it, and keep it started", provision())
        }
        Drift::Failed { cluster, said } => match wrong_line(said) {
            Some((file, line)) => you(
                "Mend that line, or switch it off, and start PostgreSQL",
                in_box(
                    &[
                        switched_off(keeping, &[line], file).to_vec(),
                        restart(&cluster.unit()).to_vec(),
                    ]
                    .concat(),
                ),
            ),
            None => you(
                "Mend what it says, and start it",
                in_box(&restart(&cluster.unit())),
            ),
        },
        Drift::SettingsWrong { unit, lines } => {
            let mut commands = Vec::new();
            for wrong in lines.iter().filter(|wrong| wrong.line > 0) {
                commands.extend(switched_off(keeping, &[wrong.line], &wrong.file));
            }
            commands.push(format!("sudo systemctl reload {unit}"));
            you(
                "Mend what is wrong there, or switch it off, before PostgreSQL has to start again",
                in_box(&commands),
            )
        }
        Drift::SettingsOwed { .. } => you("Have it read them, or start it again", provision()),
        Drift::DataModes { unit, folder, .. } => you(
            "Give the folder back to PostgreSQL, and start it",
            in_box(
                &[
                    vec![
                        format!("sudo chown postgres:postgres {}", quote::sh(folder)),
                        format!("sudo chmod 700 {}", quote::sh(folder)),
                    ],
                    restart(unit).to_vec(),
                ]
                .concat(),
            ),
        ),
        Drift::DataHeld { unit, folder, .. } => you(
            "Set the lock aside, which a PostgreSQL that was cut off left behind, and start it",
            in_box(
                &[
                    vec![keeping.set_aside(&format!("{folder}/postmaster.pid"))],
                    restart(unit).to_vec(),
                ]
                .concat(),
            ),
        ),
        Drift::DataFull { unit, folder, .. } => you(
            "Make room there, then start PostgreSQL",
            in_box(&[vec![format!("df -h {folder}")], restart(unit).to_vec()].concat()),
        ),
        Drift::Unusable { .. } => you(
            "See what it says, and start it again",
            in_box(&[
                "sudo journalctl -u postgresql@* -n 20 --no-pager".to_owned(),
                "sudo systemctl restart postgresql".to_owned(),
            ]),
        ),
        Drift::Deaf => you("Start it again", provision()),
        Drift::Listen { .. } | Drift::RulesMissing { .. } | Drift::RulesNotLoaded => {
            you("Let the laptop and the containers in", provision())
        }
        Drift::RulesBroken {
            cluster: Some(cluster),
            lines,
        } => you(
            "Mend what is wrong there, or switch it off; until then no change takes effect",
            in_box(
                &[
                    switched_off(
                        keeping,
                        &lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
                        &format!("{}/pg_hba.conf", cluster.folder()),
                    )
                    .to_vec(),
                    vec![format!("sudo systemctl reload {}", cluster.unit())],
                ]
                .concat(),
            ),
        ),
        Drift::RulesBroken { cluster: None, .. } => you(
            "Mend what is wrong there, then let PostgreSQL read it",
            in_box(&["sudo systemctl reload postgresql".to_owned()]),
        ),
        Drift::Collations(_) => you(
            "Build the indexes anew, and take over the present rules; no row is lost",
            provision(),
        ),
        Drift::RoleMissing | Drift::RoleUnsuitable { .. } => {
            you("Make the role as declared, with its password", provision())
        }
        Drift::PasswordStored { .. } | Drift::PasswordRefused { .. } => {
            you("Set the declared password", provision())
        }
        Drift::DatabaseMissing | Drift::DatabaseOwner { .. } => {
            you("Make the database as declared", provision())
        }
        Drift::Schema(drifts) if drifts.iter().any(loses) => you(
            "Change the table by hand: what is to become of its rows only their owner knows",
            in_box(&[format!(
                "sudo -u postgres psql -p {} {}",
                declared.port, declared.database
            )]),
        ),
        Drift::Schema(_) => you("Mend the tables; no row is lost", provision()),
        Drift::SchemaFileChanged { .. } => (
            "Provision leaves the rows as they are. If the box shall have what is new in the file, save the database, \
             run the file, and put that on record; by hand, what the file drops or deletes is lost. \
             Where the box's copy of it does not have the declared checksum, provision brings that one first",
            in_box(&[
                transaction::save(context.workshop, keeping),
                transaction::by_hand(context.workshop),
            ]),
            By::You,
        ),
    }
}

/// The commands that make comments of these lines, the file as it was kept beside.
fn switched_off(keeping: &Keeping, lines: &[u32], file: &str) -> [String; 2] {
    let commands: Vec<String> = lines.iter().map(|line| format!("{line}s/^/# /")).collect();
    [
        keeping.copy(file),
        format!("sudo sed -i '{}' {}", commands.join(";"), quote::sh(file)),
    ]
}
