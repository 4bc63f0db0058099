//! The SQL files on a real PostgreSQL, and the declared schema beside what they make.

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, SystemTime};

use dwenv::facts::{Fact as _, Question};
use dwenv::quote;
use dwenv::resources::postgres::facts::Clusters;
use dwenv::workshop::{self, Column, Secrets, Workshop};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::database::Database;

/// What the SQL files make of the database.
const CATALOGUE: &str = "
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           coalesce(pg_get_expr(d.adbin, d.adrelid), '-'),
           coalesce(a.attnum = ANY (i.indkey), false)
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = to_regclass('public.TABLE') AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum";

fn catalogue(database: &Database, table: &str) -> Vec<String> {
    let output = database.sql("dockerworkshop", &CATALOGUE.replace("TABLE", table));
    output.lines().map(str::to_owned).collect()
}

/// A declared column as [`CATALOGUE`] prints it.
fn declared(column: &Column) -> String {
    let flag = |is: bool| if is { "t" } else { "f" };
    format!(
        "{}|{}|{}|{}|{}",
        column.name,
        column.data_type,
        flag(column.not_null),
        column.default.as_deref().unwrap_or("-"),
        flag(column.primary_key)
    )
}

#[test]
fn the_sql_files_make_the_declared_schema_and_may_run_again() {
    let workshop = Workshop::builtin().unwrap();
    let database = Database::start();
    database.apply(&workshop);
    for table in &workshop.postgres.tables {
        let expected: Vec<_> = table.columns.iter().map(declared).collect();
        assert_eq!(
            catalogue(&database, &table.name),
            expected,
            "table {}",
            table.name
        );
    }
    let rows = "SELECT id, payload FROM call ORDER BY id";
    assert_eq!(database.sql("dockerworkshop", rows), "1|Hello World\n");
    // An attendee's work, and another run.
    database.sql(
        "dockerworkshop",
        "INSERT INTO call (payload) VALUES ('mine')",
    );
    database.apply(&workshop);
    assert_eq!(
        database.sql("dockerworkshop", rows),
        "1|Hello World\n2|mine\n"
    );
    // The fixture is for an empty table only.
    database.sql("dockerworkshop", "DELETE FROM call WHERE id = 1");
    database.apply(&workshop);
    assert_eq!(database.sql("dockerworkshop", rows), "2|mine\n");
}

#[test]
fn the_role_owns_its_database_and_nothing_more() {
    let workshop = Workshop::builtin().unwrap();
    let database = Database::start();
    database.apply(&workshop);
    let role = "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolpassword LIKE 'SCRAM-SHA-256$%'
        FROM pg_authid WHERE rolname = 'dockerworkshop'";
    assert_eq!(database.sql("postgres", role), "t|f|f|f|t\n");
    let owner = "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding)
        FROM pg_database WHERE datname = 'dockerworkshop'";
    assert_eq!(database.sql("postgres", owner), "dockerworkshop|UTF8\n");
    // What somebody changed since is put right again.
    database.sql("postgres", "ALTER ROLE dockerworkshop SUPERUSER NOLOGIN");
    database.sql(
        "postgres",
        "ALTER DATABASE dockerworkshop OWNER TO postgres",
    );
    let create = &workshop.postgres.create_database.content;
    database.sql("postgres", create);
    assert_eq!(database.sql("postgres", role), "t|f|f|f|t\n");
    assert_eq!(database.sql("postgres", owner), "dockerworkshop|UTF8\n");

    // Without a password of its own, another run leaves the role's alone.
    let password = "SELECT rolpassword FROM pg_authid WHERE rolname = 'dockerworkshop'";
    let before = database.sql("postgres", password);
    database.sql("postgres", create);
    assert_eq!(database.sql("postgres", password), before);
    assert!(database.login("dockerworkshop", "dockerworkshop"));
    // One that is given is set, whatever is in it, and the server's log does not have it.
    let secret = "ca'nary\\ $(x) naïve";
    let given = format!("\\set password 'ca''nary\\\\ $(x) naïve'\n{create}");
    database.sql(
        "postgres",
        "ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()",
    );
    database.sql("postgres", &given);
    assert!(database.login("dockerworkshop", secret));
    assert!(!database.login("dockerworkshop", "dockerworkshop"));
    let log = database.log();
    assert!(
        log.contains("statement: ") && !log.contains("nary"),
        "{log}"
    );
}

#[test]
fn other_names_are_given_from_outside() {
    let workshop = Workshop::builtin().unwrap();
    let database = Database::start();
    let create = &workshop.postgres.create_database.content;
    database.sql(
        "postgres",
        &format!("\\set role other\n\\set database elsewhere\n{create}"),
    );
    let owner = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname !~ 'postgres|template'";
    assert_eq!(database.sql("postgres", owner), "elsewhere|other\n");
}

#[test]
fn columns_and_reserved_words_are_as_postgresql_has_them() {
    let columns = [
        ("a", "bigserial primary key"),
        ("b", "timestamptz not null default now()"),
        ("c", "text default 'it''s  so'"),
        ("d", "varchar(20) not null default 'x'"),
        ("e", "char(3) default 'x'"),
        ("f", "numeric(10, 2) default 0"),
        ("g", "timestamp(3)"),
        ("h", "text[]"),
        ("i", "jsonb not null default '{}'"),
        ("j", "bool default true"),
        ("k", "time"),
        ("l", "float8"),
        ("m", "int2 default 7"),
        ("n", "char"),
        ("o", "varchar(5)[] default '{}'"),
        ("p", "double precision"),
        ("q", "uuid"),
        ("r", "timestamp with time zone"),
    ];
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("config.toml");
    let mut config = "[postgres.tables.sample]\n".to_owned();
    for (name, text) in columns {
        config += &format!("{name} = \"{text}\"\n");
    }
    fs::write(&file, config).unwrap();
    let table = &workshop::load(&file, Secrets::Read)
        .unwrap()
        .postgres
        .tables[0];
    let expected: Vec<_> = table.columns.iter().map(declared).collect();

    let database = Database::start();
    database.apply(&Workshop::builtin().unwrap());
    let body: Vec<_> = columns
        .iter()
        .map(|(name, text)| format!("{name} {text}"))
        .collect();
    database.sql(
        "dockerworkshop",
        &format!("CREATE TABLE sample ({})", body.join(", ")),
    );
    assert_eq!(catalogue(&database, "sample"), expected);

    let words = database.sql(
        "postgres",
        "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')",
    );
    assert!(words.lines().count() > 90);
    for word in words.lines() {
        fs::write(
            &file,
            format!("[postgres.tables.{word}]\nid = \"serial\"\n"),
        )
        .unwrap();
        assert!(workshop::load(&file, Secrets::Read).is_err(), "{word}");
    }
}

/// Any text is the text that it is, and any name a name: with quotes, backslashes, ends of lines, other alphabets.
#[test]
fn what_is_quoted_is_a_value_to_postgresql() {
    let database = Database::start();
    let part = prop_oneof![
        prop::sample::select(vec![
            "'", "\"", "\\", ":role", "$$", "--", "/*", ";", "\n", "é", "%"
        ])
        .prop_map(str::to_owned),
        "[^\\x00]{0,3}".prop_map(|text| text),
    ];
    let text = prop::collection::vec(part, 1..5).prop_map(|parts| parts.concat());
    let mut runner = TestRunner::deterministic();
    let texts: Vec<String> = (0..200)
        .map(|_| text.new_tree(&mut runner).expect("a text").current())
        .collect();
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut asked = String::new();
    let mut expected = String::new();
    for text in &texts {
        asked += &format!(
            "SELECT encode(convert_to({}, 'UTF8'), 'hex');\n",
            quote::sql(text)
        );
        expected += &format!("{}\n", hex(text));
        // A name has 1 to 63 bytes.
        if (1..64).contains(&text.len()) {
            let name = quote::sql_identifier(text);
            asked += &format!(
                "BEGIN; CREATE TEMP TABLE {name} (); \
                 SELECT encode(convert_to(relname, 'UTF8'), 'hex') FROM pg_class WHERE oid = {}::regclass; ROLLBACK;\n",
                quote::sql(&name)
            );
            expected += &format!("{}\n", hex(text));
        }
    }
    for off in ["on", "off"] {
        let settings = format!("SET standard_conforming_strings = {off};\n");
        let said = database.sql("postgres", &(settings + &asked));
        assert_eq!(said, expected, "standard_conforming_strings {off}");
    }
}

/// What the probe asks every cluster, as psql reads it.
fn questions(workshop: &Workshop) -> String {
    let probes = Clusters::probes(workshop);
    let Question::Root(fragment) = &probes[0].question else {
        panic!("not root's");
    };
    let (_, questions) = fragment.split_once("<<'SQL'\n").expect("their beginning");
    let (questions, _) = questions.split_once("SQL\ntrue").expect("their end");
    questions.to_owned()
}

#[test]
fn a_setting_that_no_file_has_any_more_waits_for_a_start_and_is_no_mistake() {
    let workshop = Workshop::builtin().unwrap();
    let mut database = Database::start();
    database.apply(&workshop);
    database.sql("postgres", "ALTER SYSTEM SET max_wal_senders = 5");
    database.stop();
    database.resume();
    database.sql("postgres", "ALTER SYSTEM RESET max_wal_senders");
    let said = database.sql("postgres", &questions(&workshop));
    assert!(said.contains("\"wrong\" : []"), "{said}");
    assert!(said.contains("\"max_wal_senders\"], \"unread\""), "{said}");
}

#[test]
fn a_file_from_the_time_to_come_is_not_owed_for_ever() {
    let workshop = Workshop::builtin().unwrap();
    let database = Database::start();
    database.apply(&workshop);
    let questions = questions(&workshop);
    let owed = || {
        let said = database.sql("postgres", &questions);
        let is = |words: &str| said.contains(words);
        assert!(is("\"rules_loaded\" : ") && is("\"unread\" : "), "{said}");
        (is("\"rules_loaded\" : false"), is("\"unread\" : true"))
    };
    let write = |at: SystemTime| {
        for name in ["pg_hba.conf", "postgresql.conf"] {
            let file = File::options()
                .append(true)
                .open(database.data().join(name));
            file.unwrap().set_modified(at).unwrap();
        }
    };
    assert_eq!(owed(), (false, false));
    // The server knows whole seconds of a file's time.
    thread::sleep(Duration::from_millis(1100));
    write(SystemTime::now());
    assert_eq!(owed(), (true, true));
    write(SystemTime::now() + Duration::from_secs(3600));
    assert_eq!(owed(), (false, false));
}
