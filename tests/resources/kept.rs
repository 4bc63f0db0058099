//! What dwenv rewrites in a file that is somebody's own: what somebody wrote there is kept.
#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dwenv::provision::plan;
use dwenv::resources::change::Action;
use dwenv::resources::files::{KEPT, WRITTEN};
use tempfile::TempDir;

use super::case;

/// The part of the plan's script that writes `pg_hba.conf`, and the lines that it is given.
fn rewriting() -> (String, String) {
    let case = case::all()
        .into_iter()
        .find(|case| case.name == "postgres/rules_missing")
        .expect("the case");
    let plans = plan::plan(case.context(), &case.facts());
    let Action::Script(script) = &plans.steps[0].change.action else {
        panic!("not a script");
    };
    let (_, rest) = script
        .sh
        .split_once("</dev/null)\n")
        .expect("its beginning");
    let (part, _) = rest.split_once("psql -c").expect("its end");
    let keep = dwenv::resources::files::KEEP;
    (format!("{keep}{part}"), script.stdin.reveal().to_owned())
}

/// A box's folder with the file, and what is on record of it.
struct Cluster(TempDir);

impl Cluster {
    fn with(text: &str) -> Self {
        let it = Self(TempDir::new().expect("a folder"));
        it.edit(text);
        it
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("pg_hba.conf")
    }

    fn edit(&self, text: &str) {
        fs::write(self.file(), text).expect("an edit");
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("the file")
    }

    /// Rewrites it with these lines of dwenv's. What was kept, by its text.
    fn rewrite(&self, lines: &str) -> Option<String> {
        let (script, _) = rewriting();
        let written = self.0.path().join("record/written").display().to_string();
        let script = script.replace(WRITTEN, &written);
        let mut child = Command::new("dash")
            .args(["-euc", &format!("hba={}\n{script}", self.file().display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dash");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(lines.as_bytes()).expect("the lines");
        drop(stdin);
        let ran = child.wait_with_output().expect("its end");
        assert!(ran.status.success(), "{script}");
        let said = String::from_utf8(ran.stdout).expect("text");
        let kept = said.trim_end().strip_prefix(KEPT)?;
        assert!(kept.starts_with(&format!("{}.orig-", self.file().display())));
        Some(fs::read_to_string(Path::new(kept)).expect("what is kept"))
    }
}

#[test]
fn what_somebody_wrote_among_the_rules_is_kept() {
    let (_, lines) = rewriting();
    let others = "local all all peer\n";
    let it = Cluster::with(others);
    assert_eq!(it.rewrite(&lines), None, "nothing was there before");
    assert_eq!(it.text(), format!("{lines}{others}"));

    // Beside dwenv's lines nothing is taken away.
    let others = "local all all peer\nhost all all 10.0.0.0/8 scram-sha-256\n";
    it.edit(&format!("# mine\n{lines}{others}"));
    assert_eq!(it.rewrite(&lines), None);
    assert_eq!(it.text(), format!("{lines}# mine\n{others}"));

    // What dwenv wrote by another declaration goes.
    let earlier = lines.replace("samenet", "10.0.0.0/8");
    assert_ne!(earlier, lines);
    assert_eq!(it.rewrite(&earlier), None);
    assert_eq!(it.rewrite(&lines), None);
    assert_eq!(it.text(), format!("{lines}# mine\n{others}"));

    let edited = it
        .text()
        .replace("# dwenv: end", "host all all all trust\n# dwenv: end");
    it.edit(&edited);
    assert_eq!(it.rewrite(&lines), Some(edited));
    assert_eq!(it.text(), format!("{lines}# mine\n{others}"));
    assert_eq!(it.rewrite(&lines), None);

    // A begin without an end: the rules stay where they are.
    let endless = it.text().replace("# dwenv: end\n", "");
    it.edit(&endless);
    assert_eq!(it.rewrite(&lines), None);
    let stays = endless.split_once('\n').expect("a line").1;
    assert_eq!(it.text(), format!("{lines}{stays}"));

    // A second begin would take all that comes after it along.
    let twice = format!("{lines}{others}{}", lines.lines().next().expect("a line"));
    let twice = format!("{twice}\nhost mine mine all scram-sha-256\n");
    it.edit(&twice);
    assert_eq!(it.rewrite(&lines), Some(twice));
}
