//! The tables are changed all at once or not at all, by a file that is on record; what was there before stays.

use std::fs;

use dwenv::target::sandbox::Suite;

use crate::workbox::Workbox;

const TABLES: &str = r#"
[postgres]
create_schema = "provision/schema.sql"
[postgres.tables.call]
id = "serial primary key"
created_at = "timestamptz not null default now()"
payload = "text not null default ''"
[postgres.tables.notes]
id = "serial primary key"
note = "text"
"#;

const CALL: &str = "CREATE TABLE IF NOT EXISTS call (
  id serial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), payload text NOT NULL DEFAULT '');
INSERT INTO call (payload) SELECT 'Hello World' WHERE NOT EXISTS (SELECT FROM call);\n";

const NOTES: &str = "CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, note text);
INSERT INTO notes (note) VALUES ('the first');\n";

fn write(it: &Workbox, schema: &str) {
    fs::create_dir_all(it.folder().join("provision")).expect("a folder");
    fs::write(it.folder().join("provision/schema.sql"), schema).expect("schema.sql");
}

/// What a query of the superuser's gives in the workshop's database.
fn asked(it: &Workbox, sql: &str) -> String {
    it.run(&format!(
        "cd /; sudo -u postgres psql -qAt -d dockerworkshop -c {}",
        dwenv::quote::sh(sql)
    ))
}

const CALLS: &str = "SELECT payload FROM call ORDER BY id";
const HAS_NOTES: &str = "SELECT to_regclass('public.notes') IS NOT NULL";
const LEFT_BEHIND: &str = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal";

#[test]
fn the_schema_changes_as_a_whole_and_what_was_there_stays() {
    let it = Workbox::stocked(Suite::Trixie);
    it.declare(TABLES);

    // Cut in its middle it has made nothing, and its process in the server does not stay.
    let slow = format!("BEGIN;\n{CALL}SELECT pg_sleep(600);\n{NOTES}COMMIT;\n");
    write(&it, &slow);
    let mut run = it.start(&["up", "--yes", "--target", "sandbox"]);
    run.await_said("Create the tables");
    let sleeps = "cd /; sudo -u postgres psql -qAt -c \"SELECT count(*) FROM pg_stat_activity \
                  WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()\"";
    it.await_in_box(&format!("[ \"$({sleeps})\" = 1 ]"));
    run.interrupt_twice();
    run.wait().exit(5);
    it.await_in_box(&format!("[ \"$({sleeps})\" = 0 ]"));
    assert_eq!(asked(&it, "SELECT to_regclass('public.call') IS NULL"), "t");

    // An error at its end leaves nothing of it either.
    let broken = format!("{CALL}{NOTES}INSERT INTO nowhere VALUES (1);\n");
    write(&it, &broken);
    it.provision()
        .exit(1)
        .says("relation \"nowhere\" does not exist");
    assert_eq!(asked(&it, "SELECT to_regclass('public.call') IS NULL"), "t");

    let whole = format!("BEGIN;\n{CALL}{NOTES}COMMIT;\n");
    write(&it, &whole);
    it.up().exit(0);
    let record = asked(&it, "SHOW dwenv.schema");
    let sum = dwenv::resources::files::sha256(&whole);
    assert!(record.starts_with(&format!("{sum} 20")), "{record}");

    // A fixture that an attendee deleted does not come back with another table, and other rows are as they were.
    asked(&it, "DELETE FROM call; DROP TABLE notes");
    it.provision()
        .exit(0)
        .says("Create the tables of dockerworkshop: notes");
    assert_eq!(asked(&it, CALLS), "");
    assert_eq!(asked(&it, "SELECT note FROM notes"), "the first");
    assert_eq!(asked(&it, LEFT_BEHIND), "0");
    it.post("an attendee's");

    // A file that would lose what is there is not run, and neither is what would have been mended with it.
    asked(
        &it,
        "DROP TABLE notes; ALTER TABLE call DROP COLUMN created_at",
    );
    for (loses, said) in [
        (
            "DROP TABLE call;",
            "the file would remove what was there before: call.id, call.payload",
        ),
        (
            "TRUNCATE call;",
            "the file would empty call, which was there before",
        ),
    ] {
        write(&it, &format!("{loses}\n{whole}"));
        it.provision().exit(1).says(said);
        assert_eq!(asked(&it, CALLS), "an attendee's");
        assert_eq!(asked(&it, HAS_NOTES), "f");
        assert_eq!(asked(&it, LEFT_BEHIND), "0");
    }
    // Whoever holds a table in a transaction that is open is named, and can be asked to close it.
    write(&it, &whole);
    it.run(
        "cd /; sudo -u postgres env PGAPPNAME=notebook psql -d dockerworkshop \
         -c 'BEGIN; SELECT FROM call; SELECT pg_sleep(600)' </dev/null >/dev/null 2>&1 &",
    );
    it.await_in_box(&format!("[ \"$({sleeps})\" = 1 ]"));
    it.provision()
        .exit(1)
        .says("call is held by notebook of postgres, in a transaction since")
        .says("close that session, then provision again");
    asked(
        &it,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'notebook'",
    );
    // Rows alone are kept from it.
    write(&it, &format!("DELETE FROM call;\n{whole}"));
    it.provision()
        .exit(0)
        .says("held back")
        .says("DELETE 1 of call");
    assert_eq!(asked(&it, CALLS), "an attendee's");
    assert_eq!(asked(&it, HAS_NOTES), "t");

    // Changed after it was run: told, not run.
    write(&it, &whole);
    it.provision()
        .exit(0)
        .says("provision/schema.sql is run where a table is missing, and all are there");
    let seen = it.doctor();
    let schema = seen.exit(0).check("box.postgres.schema");
    assert_eq!(schema.status, "warn");
    let told = "provision/schema.sql was another file when it made them";
    assert!(schema.summary.contains(told), "{schema:?}");
    assert_eq!(asked(&it, "SELECT count(*) FROM notes"), "1");
    assert_eq!(asked(&it, CALLS), "an attendee's");
}
