//! What was measured, as a page: docs/performance.md.

use std::fmt::Write as _;

use crate::common::times::{Times, shown};
use crate::support::run;
use crate::tools::Tool;

/// Each side of a comparison, and what it took.
pub type Sides = Vec<(Tool, Times)>;

/// One circumstance in which all sides were measured.
pub struct Column {
    pub name: String,
    pub sides: Sides,
}

impl Column {
    pub fn of_delay(ms: u64, sides: Sides) -> Self {
        Self {
            name: format!("{ms} ms"),
            sides,
        }
    }
}

pub struct Table {
    pub title: &'static str,
    pub columns: Vec<Column>,
}

/// What was promised, and what it is.
pub struct Bound {
    pub what: String,
    pub bound: String,
    pub measured: String,
    pub holds: bool,
}

impl Bound {
    pub fn at_most(what: &str, bound: f64, measured: f64) -> Self {
        // A count is told as one.
        let told = |number: f64| {
            if bound < 1.0 {
                format!("{number:.2}")
            } else {
                format!("{number:.0}")
            }
        };
        Self {
            what: what.to_owned(),
            bound: told(bound),
            measured: told(measured),
            holds: measured <= bound,
        }
    }
}

/// Why another tool is before dwenv, by the table and the tool.
const WHY: &[(&str, Tool, &str)] = &[];

const HEAD: &str = "\
# How fast dwenv is

Written by `cargo bench --bench peers -- write`, which needs root on Debian and python3 with its venv. It makes
its boxes, installs the other tools, and has each do the same work on the same boxes by turns: `dwenv provision`,
[a script](../benches/by_hand.sh) written by hand and sent to `ssh`, [a playbook](../benches/peers/playbook.yml) of
ansible-core and [a deploy](../benches/peers/deploy.py) of pyinfra; for `dwenv doctor`,
[the same questions](../benches/peers/test_box.py) as tests of pytest-testinfra. Every box is a sandbox on the
computer that measures, so the box's own work and that of the tool share its processors.

";

const HOW: &str = "\
How to read this:

- A time is the median, with the best and the worst behind it. `×` is how many times dwenv's it is.
- A delay is that of one round trip. A TCP proxy makes it, the connection's own handshake included; throughput stays.
  What a box fetches from its package mirror is not delayed.
- ansible-core runs with pipelining, without gathering facts, and with as many forks as dwenv has `--jobs`: 16. pyinfra
  runs with `--yes`, so it asks each fact once, and 16 at once. testinfra shares one connection for all its commands. OpenSSH's masters,
  which stay for a minute, are ended after each run: whoever types a command after a break has none.
- Every tool verifies the host key, logs in with the same key, and becomes root by `sudo`. All but the script, which
  does everything again, have to say that nothing changed where nothing is to be done.
- Round trips: six are a login by libssh2, the connection's own included, and four more bring everything: libssh2 opens one
  channel after the other, for the exec, for PostgreSQL and for Docker, and the fourth has the last answers. `ssh BOX true`
  takes nine: so on a long link dwenv, which asks everything, is not before a login that asks nothing.
- The first run is apt's own work, the same in each: it fetches, unpacks and sets up the packages, and nearly all of
  dwenv's time is in it. What it can save lies around that, and in what it need not wait for: syncs of the packages' files, and
  services that start. dpkg syncs its own database a thousand times, and systemd reads its units again with each service. Both
  are left to them: a box that loses its power must not lose what dpkg knows, and an upgrade wants its restarts.
- dwenv looks at more than the others do: also at what nobody declared and what breaks a workshop, such as a full disk, a wrong
  clock, units that failed and certificates. The others look at what their files say.
";

/// Gathers what is measured, and tells each part when it is done.
pub struct Page {
    versions: Vec<String>,
    load: String,
    tables: Vec<Table>,
    bounds: Vec<Bound>,
}

impl Page {
    pub fn new(versions: Vec<String>, load: &str) -> Self {
        println!("{}\nload at the start: {load}\n", versions.join(", "));
        Self {
            versions,
            load: load.to_owned(),
            tables: Vec::new(),
            bounds: Vec::new(),
        }
    }

    pub fn add(&mut self, table: Table) {
        println!("{}", table.markdown());
        self.tables.push(table);
    }

    pub fn bound(&mut self, bound: Bound) {
        let Bound { what, measured, .. } = &bound;
        println!("{what}: {measured} (bound {})", bound.bound);
        self.bounds.push(bound);
    }

    pub fn tell_bounds(&self) {
        println!("\n{}", self.bounds_markdown());
    }

    /// Whether every bound holds.
    pub fn holds(&self) -> bool {
        self.bounds.iter().all(|bound| bound.holds)
    }

    fn bounds_markdown(&self) -> String {
        let mut text = String::from("| | at most | measured | |\n|---|---:|---:|---|\n");
        for bound in &self.bounds {
            let Bound {
                what,
                bound,
                measured,
                holds,
            } = bound;
            let holds = if *holds { "holds" } else { "**does not hold**" };
            let _ = writeln!(text, "| {what} | {bound} | {measured} | {holds} |");
        }
        text
    }

    pub fn markdown(&self) -> String {
        let mut text = HEAD.to_owned();
        let _ = writeln!(
            text,
            "Measured on {} on {}, with a load of {} before it began: {}.\n",
            run("date", &["-u", "+%F"]).trim(),
            computer(),
            self.load.split(' ').next().unwrap_or_default(),
            self.versions.join(", ")
        );
        text.push_str(HOW);
        let _ = writeln!(text, "\n## What dwenv holds\n\n{}", self.bounds_markdown());
        for table in &self.tables {
            let _ = writeln!(text, "## {}\n\n{}", table.title, table.markdown());
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

fn computer() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let memory = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap_or(0.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "a computer with {cores} processors and {:.0} GB",
        memory / 1024.0 / 1024.0
    )
}

impl Table {
    pub fn new(title: &'static str) -> Self {
        Self {
            title,
            columns: Vec::new(),
        }
    }

    fn markdown(&self) -> String {
        let mut text = String::from("| |");
        for column in &self.columns {
            let _ = write!(text, " {} | × |", column.name);
        }
        let lines = "---:|---:|".repeat(self.columns.len());
        let _ = writeln!(text, "\n|---|{lines}");
        let tools: Vec<Tool> = self.columns[0]
            .sides
            .iter()
            .map(|(tool, _)| *tool)
            .collect();
        for tool in tools {
            let _ = write!(text, "| {tool} |");
            for column in &self.columns {
                let (times, dwenv) = (column.times(tool), column.times(Tool::Dwenv));
                let _ = write!(
                    text,
                    " {} ({}–{}) | {:.1} |",
                    shown(times.median()),
                    shown(times.best()),
                    shown(times.worst()),
                    times.against(dwenv)
                );
            }
            text.push('\n');
        }
        let _ = write!(text, "\n{}", self.round_trips());
        for column in &self.columns {
            text.push_str(&column.who_is_before(self.title));
        }
        text
    }

    /// Where two delays were measured, the slope says how often a tool waits for an answer.
    pub fn round_trips_of(&self, tool: Tool) -> Option<f64> {
        let column = |name: &str| self.columns.iter().find(|column| column.name == name);
        let of = |name: &str| Some(column(name)?.times(tool).median().as_secs_f64());
        Some(((of("200 ms")? - of("50 ms")?) / 0.15).round())
    }

    fn round_trips(&self) -> String {
        let tools = self.columns.first().map_or(&[][..], |column| &column.sides);
        let counts = tools.iter().filter_map(|(tool, _)| {
            let count = self.round_trips_of(*tool)?;
            Some(format!("{tool} {count:.0}"))
        });
        let counts: Vec<String> = counts.collect();
        if counts.is_empty() {
            return String::new();
        }
        format!(
            "Round trips, by what 150 ms more of delay cost: {}.\n",
            counts.join(", ")
        )
    }
}

impl Column {
    fn times(&self, tool: Tool) -> &Times {
        let found = self.sides.iter().find(|(it, _)| *it == tool);
        &found.expect("each column has each tool").1
    }

    /// Where dwenv is not first: who is, and why.
    fn who_is_before(&self, table: &str) -> String {
        let mut text = String::new();
        let dwenv = self.times(Tool::Dwenv);
        for (tool, times) in &self.sides {
            if *tool == Tool::Ssh || times.median() >= dwenv.median() {
                continue;
            }
            let why = WHY.iter().find(|(of, it, _)| (*of, *it) == (table, *tool));
            let why = why.map_or("Why is not known yet.", |(_, _, why)| why);
            let _ = writeln!(text, "At {}, {tool} is before dwenv. {why}", self.name);
        }
        text
    }
}
