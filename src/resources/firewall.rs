//! The box's own firewall, as far as it explains why a service is not reached. Asked only for a diagnosis.

use super::{Context, is_simple};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::workshop::Workshop;

/// The chain of iptables that everything passes that comes for the box itself, and whether ufw made it.
/// Chains that it hands over to are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    rules: Vec<String>,
    refuses_the_rest: bool,
    is_ufw: bool,
}

/// Why nobody outside gets to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A rule of its own, as iptables tells it.
    Rule(String),
    /// Only what is named is let in.
    Unnamed { port: u16, is_ufw: bool },
}

impl Firewall {
    const PROBE: &str = "firewall";

    /// The first rule for the port counts, and where there is none, what becomes of the rest.
    #[must_use]
    pub fn closes(&self, port: u16) -> Option<Closed> {
        for rule in &self.rules {
            let target = target(rule);
            match (names(rule, port), target) {
                (true, "ACCEPT") => return None,
                (true, "DROP" | "REJECT") => return Some(Closed::Rule(rule.clone())),
                _ => {}
            }
        }
        let is_ufw = self.is_ufw;
        self.refuses_the_rest
            .then_some(Closed::Unnamed { port, is_ufw })
    }

    /// What is known to close a port, where the firewall was asked.
    #[must_use]
    pub fn closing(facts: &Facts, port: u16) -> Option<Closed> {
        match facts.get::<Self>().as_ref() {
            Ok(firewall) => firewall.closes(port),
            Err(_) => None,
        }
    }
}

impl Fact for Firewall {
    fn probes(_: &Workshop) -> Vec<Probe> {
        let fragment = "command -v iptables >/dev/null || { echo end; exit 0; }\n\
             iptables -w 2 -S INPUT || exit 1\n\
             if command -v ufw >/dev/null && ufw status | grep -q '^Status: active'; then echo ufw; fi\n\
             echo end";
        vec![Probe::deep(
            Self::PROBE,
            Question::Root(fragment.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || Unobserved(format!("the box's firewall is not understood: {text}"));
        if text.lines().last() != Some("end") {
            return Err(garbled());
        }
        let mut found = Self::default();
        for line in text.lines() {
            match line.split_once(" INPUT ") {
                Some(("-P", policy)) => found.refuses_the_rest |= policy != "ACCEPT",
                // A rule without a condition is as good as a policy.
                Some(("-A", rule)) if rule.starts_with("-j ") => {
                    found.refuses_the_rest |= matches!(target(rule), "DROP" | "REJECT");
                }
                Some(("-A", rule)) => found.rules.push(rule.to_owned()),
                None if line == "ufw" => found.is_ufw = true,
                None if line == "end" => {}
                _ => return Err(garbled()),
            }
        }
        Ok(found)
    }
}

impl Closed {
    pub const CURE: &str = "Let it in, if nobody closed it on purpose";
    /// Why provision does not.
    pub const LEFT: &str = "whom the box's firewall keeps out is its keeper's choice";

    /// Whether not even the box itself gets to its port: by a rule that is for all its links.
    #[must_use]
    pub fn holds_inside(&self) -> bool {
        matches!(self, Self::Rule(rule) if !rule.starts_with("-i ") && !rule.contains(" -i "))
    }

    /// What doctor says behind what the laptop saw.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Rule(rule) => format!("the box's own firewall has the rule `{rule}`"),
            Self::Unnamed { port, .. } => {
                format!("the box's own firewall lets in only what it names, and not {port}")
            }
        }
    }

    #[must_use]
    pub fn command(&self, context: Context) -> String {
        context.in_box(&match self {
            Self::Rule(rule) if rule.chars().all(|c| c == '!' || is_simple(c)) => {
                format!("sudo iptables -D INPUT {rule}")
            }
            Self::Rule(_) => "sudo iptables -L INPUT --line-numbers".to_owned(),
            Self::Unnamed { port, is_ufw: true } => format!("sudo ufw allow {port}/tcp"),
            Self::Unnamed { port, .. } => {
                format!("sudo iptables -I INPUT -p tcp --dport {port} -j ACCEPT")
            }
        })
    }
}

/// What a rule does with what it is for.
fn target(rule: &str) -> &str {
    let after = rule.split_once("-j ").map_or("", |(_, after)| after);
    after.split(' ').next().unwrap_or_default()
}

/// Whether a rule is for this port of TCP, by itself, in a list or in a range.
fn names(rule: &str, port: u16) -> bool {
    let words: Vec<&str> = rule.split(' ').collect();
    let holds = |part: &str| {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if (from..=to).contains(&port))
    };
    let asked = words.windows(3).any(|three| {
        three[0] != "!" && three[1].starts_with("--dport") && three[2].split(',').any(holds)
    });
    asked && words.windows(2).any(|two| two == ["-p", "tcp"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Record;

    fn of(text: &str) -> Firewall {
        let mut records = Records::default();
        records.insert(Firewall::PROBE, Record::done(text));
        Firewall::observe(&records).unwrap()
    }

    #[test]
    fn the_first_rule_for_a_port_counts_and_then_the_rest() {
        let rule = |text: &str| Some(Closed::Rule(text.to_owned()));
        let rest = |port| {
            Some(Closed::Unnamed {
                port,
                is_ufw: false,
            })
        };
        let open = of("-P INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\nend");
        assert_eq!(open.closes(8080), None);
        let named =
            "! -i lo -p tcp -m multiport --dports 5432,8000:8090 -j REJECT --reject-with tcp-reset";
        let closed = of(&format!("-P INPUT ACCEPT\n-A INPUT {named}\nend"));
        assert_eq!(closed.closes(8080), rule(named));
        assert_eq!(closed.closes(5432), rule(named));
        assert_eq!(closed.closes(5433), None);
        assert!(!closed.closes(8080).unwrap().holds_inside());
        let everywhere = of("-P INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 8080 -j DROP\nend");
        assert!(everywhere.closes(8080).unwrap().holds_inside());
        let strict = of(
            "-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT\nend",
        );
        assert_eq!(
            (strict.closes(8080), strict.closes(5432)),
            (None, rest(5432))
        );
        let last = of(
            "-P INPUT ACCEPT\n-A INPUT -p udp --dport 8080 -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited\nend",
        );
        assert_eq!(last.closes(8080), rest(8080));
        assert!(of("-P INPUT DROP\nufw\nend").is_ufw);
        assert_eq!(of("end"), Firewall::default());
    }

    #[test]
    fn what_iptables_did_not_say_to_its_end_is_not_known() {
        for text in ["", "-P INPUT ACCEPT", "Chain INPUT (policy ACCEPT)\nend"] {
            let mut records = Records::default();
            records.insert(Firewall::PROBE, Record::done(text));
            assert!(Firewall::observe(&records).is_err(), "{text}");
        }
    }
}
