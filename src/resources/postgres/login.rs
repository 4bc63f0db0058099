//! Who gets in to PostgreSQL: where it listens, its rules, the role and its password.

use super::super::ports::{Listener, Listeners};
use super::super::{Context, State, observed};
use super::Drift;
use super::facts::{Clusters, RoleLogin, Rule, Server, Stored};
use crate::facts::Facts;

pub fn diff_listen(context: Context, server: &Server, facts: &Facts) -> State<Drift> {
    let declared = &context.workshop.postgres;
    if server.listen != declared.listen_addresses {
        return State::Drifted(Drift::Listen {
            found: server.listen.clone(),
        });
    }
    // Where a stranger holds the port when it starts, PostgreSQL warns and listens to IPv6 alone. (Version
    // 0 is a server that is only predicted: its sockets cannot be seen yet.)
    if server.version > 0
        && declared.listen_addresses != "::"
        && let Ok(listeners) = facts.get::<Listeners>().as_ref()
        && !listeners.on(declared.port).any(Listener::hears_ipv4)
    {
        return State::Drifted(Drift::Deaf);
    }
    State::AsDeclared(format!("listens on {}", server.listen))
}

pub fn diff_rules(context: Context, server: &Server, facts: &Facts) -> State<Drift> {
    let declared = &context.workshop.postgres;
    let wrong = |rule: &Rule| Some((rule.line, rule.error.clone()?));
    let lines: Vec<(u32, String)> = server.rules.iter().filter_map(wrong).collect();
    if !lines.is_empty() {
        let clusters = observed!(facts, Clusters);
        return State::Drifted(Drift::RulesBroken {
            cluster: clusters.on_port(declared.port).cloned(),
            lines,
        });
    }
    // The first rule that fits a login decides, so ours have to stand before all others.
    let ours = |rule: &Rule| {
        rule.kind.as_deref() == Some("host")
            && rule.method.as_deref() == Some("scram-sha-256")
            && rule.databases.as_deref() == Some(std::slice::from_ref(&declared.database))
            && rule.roles.as_deref() == Some(std::slice::from_ref(&declared.role))
    };
    let leading = server.rules.iter().take_while(|rule| ours(rule));
    let blocks: Vec<String> = leading.filter_map(Rule::block).collect();
    let missing = |address: &&String| !blocks.contains(address);
    let addresses: Vec<String> = declared
        .allow_from
        .iter()
        .filter(missing)
        .cloned()
        .collect();
    let surplus = blocks
        .iter()
        .any(|block| !declared.allow_from.contains(block));
    if addresses.is_empty() && !surplus && !server.rules_loaded {
        State::Drifted(Drift::RulesNotLoaded)
    } else if addresses.is_empty() && !surplus {
        State::AsDeclared(format!("lets in {}", declared.allow_from.join(", ")))
    } else {
        State::Drifted(Drift::RulesMissing { addresses })
    }
}

pub fn diff_role(context: Context, server: &Server) -> State<Drift> {
    let Some(role) = &server.role else {
        return State::Drifted(Drift::RoleMissing);
    };
    if !role.can_login {
        let what = "may not log in";
        return State::Drifted(Drift::RoleUnsuitable { what });
    }
    if role.superuser {
        let what = "is a superuser";
        return State::Drifted(Drift::RoleUnsuitable { what });
    }
    State::AsDeclared(format!("{} may log in", context.workshop.postgres.role))
}

pub fn diff_password(context: Context, server: &Server, facts: &Facts) -> State<Drift> {
    // Rules that ask for scram let in nobody whose password is stored otherwise, right as it may be.
    match server.role.as_ref().and_then(|role| role.stored) {
        None | Some(Stored::Scram) => {}
        Some(how) => return State::Drifted(Drift::PasswordStored { how }),
    }
    match observed!(facts, RoleLogin).0 {
        Some(Ok(())) => State::AsDeclared(format!(
            "{} logs in with its password",
            context.workshop.postgres.role
        )),
        // Class 28 is a refused login.
        Some(Err(refusal)) if refusal.code.starts_with("28") => {
            State::Drifted(Drift::PasswordRefused {
                said: refusal.message,
            })
        }
        // These come after the password was accepted: no such database, none that one may enter.
        Some(Err(refusal)) if ["3D000", "42501", "55000"].contains(&refusal.code.as_str()) => {
            State::AsDeclared(format!("logs in ({})", refusal.message))
        }
        Some(Err(refusal)) => State::Unknown(format!(
            "PostgreSQL did not get to the password: {}",
            refusal.message
        )),
        None => State::Unknown("the box let no login to PostgreSQL through".to_owned()),
    }
}
