//! One quoting function for each language a value can travel in.

/// Quotes any text as one word of POSIX sh.
#[must_use]
pub fn sh(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes a path or a name as one word of a command that the person at this laptop shall type.
#[must_use]
pub fn typed(text: &str) -> String {
    if cfg!(windows) {
        on_windows(text)
    } else {
        sh(text)
    }
}

/// Double quotes are the only ones that cmd.exe and PowerShell both take. They escape nothing alike, but a
/// double quote stands in no path and in no name of a host.
fn on_windows(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || r":\./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("\"{text}\"")
}

/// Quotes any text as an SQL string literal, whatever `standard_conforming_strings` says.
///
/// A NUL cannot stand in an SQL text; PostgreSQL refuses it, so it is left to the server to say so.
#[must_use]
pub fn sql(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', r"\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Quotes any text as an SQL identifier.
#[must_use]
pub fn sql_identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Quotes any text as one word of a systemd unit's setting, without its specifiers taking effect.
#[must_use]
pub fn systemd(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    const AWKWARD: &[&str] = &[
        "",
        "plain",
        "two words",
        "it's",
        "''",
        "\"double\"",
        "$(reboot)",
        "`reboot`",
        "${HOME}",
        "a\\b",
        "line one\nline two",
        "tab\there",
        "naïve – ✓ 日本",
        "-n",
        "*",
        "~",
        "!history",
        ";&|<>#",
    ];

    #[test]
    #[cfg(unix)]
    fn sh_reads_back_every_awkward_text_as_one_unchanged_word() {
        for text in AWKWARD {
            let program = format!("printf '%s|' {}", sh(text));
            let output = std::process::Command::new("sh")
                .arg("-c")
                .arg(&program)
                .output()
                .unwrap();
            assert_eq!(
                String::from_utf8(output.stdout).unwrap(),
                format!("{text}|")
            );
        }
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(sh("/etc/apt/sources.list"), "/etc/apt/sources.list");
        assert_eq!(sh("a b"), "'a b'");
    }

    #[test]
    fn what_is_typed_on_windows_has_the_quotes_of_both_its_shells() {
        let file = r"C:\Users\anna\.ssh\known_hosts";
        assert_eq!(on_windows(file), file);
        assert_eq!(on_windows(r"C:\Users\Anna Ö\x"), r#""C:\Users\Anna Ö\x""#);
        assert_eq!(on_windows("[127.0.0.1]:2222"), r#""[127.0.0.1]:2222""#);
        // An array to PowerShell, several words to cmd.exe.
        assert_eq!(on_windows("a,b"), r#""a,b""#);
    }

    #[test]
    fn sql_doubles_quotes_and_escapes_backslashes() {
        assert_eq!(sql("it's"), "'it''s'");
        assert_eq!(sql(r"a\'b"), r" E'a\\''b'");
        assert_eq!(sql_identifier(r#"odd"name"#), r#""odd""name""#);
    }
    #[test]
    fn systemd_keeps_quotes_specifiers_and_lines() {
        assert_eq!(systemd("A=plain"), r#""A=plain""#);
        assert_eq!(
            systemd("A=100% \"x\" \\ \n\u{1}"),
            r#""A=100%% \"x\" \\ \n\x01""#
        );
    }
}
