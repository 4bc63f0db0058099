//! Whatever stands in a value, a shell takes it for a value: quotes, a shell's words, ends of lines, other alphabets.
#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use dwenv::quote;
use dwenv::resources::files::{BoxFile, KEPT, WRITTEN, write_script};
use proptest::prelude::*;
use tempfile::TempDir;

/// Runs a script as a step of a change is run.
fn dash(script: &str, stdin: &str) -> Output {
    let mut child = Command::new("dash")
        .args(["-euc", script])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dash");
    // One that ends before it has read everything says why.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(stdin.as_bytes());
    child.wait_with_output().expect("its end")
}

/// Writes the file into the folder, as a change does in the box. What the script said.
fn write(folder: &Path, file: &BoxFile) -> String {
    let (script, stdin) = write_script(std::slice::from_ref(file));
    let written = folder.join("record/written").display().to_string();
    let script = script.replace(WRITTEN, &quote::sh(&written)).replace(
        "/var/lib/dwenv",
        &quote::sh(&format!("{}/record", folder.display())),
    );
    let ran = dash(&script, &stdin);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}{wrong}\n{script}");
    said
}

/// Words that mean something to a shell, and any others.
fn text() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        "'", "\"", "\\", "$(id)", "`id`", "${HOME}", "\n", "%s", "!", "*", "~", "é", "日本", "-n",
        " ", "\t", "",
    ]);
    let any = "[^\\x00]{0,6}".prop_map(|text| text);
    prop::collection::vec(prop_oneof![awkward.prop_map(str::to_owned), any], 0..8)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_are_read_back_as_they_were(words in prop::collection::vec(text(), 1..8)) {
        let quoted: Vec<String> = words.iter().map(|word| quote::sh(word)).collect();
        let ran = dash(&format!("printf '%s\\0' {}", quoted.join(" ")), "");
        let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
        prop_assert_eq!(String::from_utf8(ran.stdout).expect("text"), expected);
    }

    #[test]
    fn any_content_arrives_as_it_is_and_what_somebody_wrote_is_kept(
        name in text().prop_map(|name| name.replace(['/', '\n'], "") + "x"),
        content in text(),
        edited in text(),
    ) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("it's a home").join(&name);
        let owner = Command::new("id").arg("-un").output().expect("id").stdout;
        let file = BoxFile {
            path: path.display().to_string(),
            owner: String::from_utf8(owner).expect("a name").trim_end().to_owned(),
            mode: "644",
            content: content.clone(),
        };
        prop_assert_eq!(write(folder.path(), &file), "");
        prop_assert_eq!(&fs::read_to_string(&path).expect("the file"), &content);

        fs::write(&path, &edited).expect("an edit");
        let said = write(folder.path(), &file);
        prop_assert_eq!(&fs::read_to_string(&path).expect("the file"), &content);
        if edited != content {
            let kept = said.trim_end_matches('\n').strip_prefix(KEPT).expect("it is kept");
            prop_assert_eq!(&fs::read_to_string(kept).expect("what is kept"), &edited);
        }
    }
}
