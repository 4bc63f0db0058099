//! A change of the schema: one transaction, for all of it or nothing.
//!
//! The author's file is run where a table is missing. It makes what is missing, and cannot touch what was there
//! before: its rows are kept from it, and a table or column that it removes ends the transaction. So a row that
//! somebody deleted does not come back with another table.

use super::super::change::NOTE;
use super::super::files::{Keeping, sha256};
use crate::quote;
use crate::workshop::{Postgres, Workshop, sql};

/// The setting of the database in which stands which file was run in it, and when. It changes in the same
/// transaction as the tables, belongs to no schema, and is in no dump of one.
pub const RECORD: &str = "dwenv.schema";

/// Two changes at once wait for each other; one that was cut is ended by the server at once, where it can tell.
///
/// A table that somebody else's transaction holds is named with whoever that is: of the server's own words nobody knows
/// whom to ask.
const LOCK: &str = r"\set SHOW_CONTEXT never
SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval' \g /dev/null
DO $dwenv$ BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('dwenv'));
EXCEPTION WHEN lock_not_available THEN
  RAISE EXCEPTION 'another run of dwenv is changing the tables: wait until it has ended, then provision again';
END $dwenv$;
CREATE FUNCTION pg_temp.dwenv_locks(kept regclass, how text) RETURNS void LANGUAGE plpgsql AS $dwenv$ DECLARE held text; BEGIN
  EXECUTE format('LOCK TABLE %s IN %s MODE', kept, how);
EXCEPTION WHEN lock_not_available THEN
  SELECT string_agg(DISTINCT format('%s of %s, in a transaction since %s UTC (pid %s)',
      coalesce(nullif(a.application_name, ''), 'a program'), coalesce(a.usename, 'PostgreSQL'),
      to_char(a.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS'), a.pid), '; ') INTO held
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
    WHERE l.relation = kept AND l.granted AND l.pid <> pg_backend_pid()
      AND (how = 'ACCESS EXCLUSIVE' OR l.mode NOT IN ('AccessShareLock', 'RowShareLock'));
  RAISE EXCEPTION '% is held by %: close that session, then provision again', kept,
    coalesce(held, 'a session that is over by now');
END $dwenv$;
";

/// Keeps all that there is from what comes next: ordinary tables as `'r'` have the rows, partitioned ones not.
const KEEP: &str = r"CREATE TEMPORARY TABLE dwenv_kept ON COMMIT DROP AS
  SELECT c.oid AS relation, c.relname, c.relkind, a.attnum, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped;
CREATE TEMPORARY TABLE dwenv_held (relation oid, verb text) ON COMMIT DROP;
GRANT INSERT ON dwenv_held TO PUBLIC;
CREATE FUNCTION pg_temp.dwenv_keeps() RETURNS trigger LANGUAGE plpgsql AS $dwenv$ BEGIN
  IF TG_OP = 'TRUNCATE' THEN RAISE EXCEPTION 'the file would empty %, which was there before', TG_RELID::regclass; END IF;
  INSERT INTO pg_temp.dwenv_held VALUES (TG_RELID, TG_OP);
  RETURN NULL;
END $dwenv$;
DO $dwenv$ DECLARE kept regclass; BEGIN
  FOR kept IN SELECT DISTINCT relation FROM dwenv_kept WHERE relkind = 'r' LOOP
    PERFORM pg_temp.dwenv_locks(kept, 'SHARE ROW EXCLUSIVE');
    EXECUTE format('CREATE TRIGGER dwenv_keeps_rows BEFORE INSERT OR UPDATE OR DELETE ON %s
      FOR EACH ROW EXECUTE FUNCTION pg_temp.dwenv_keeps()', kept);
    EXECUTE format('CREATE TRIGGER dwenv_keeps_all BEFORE TRUNCATE ON %s
      FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.dwenv_keeps()', kept);
  END LOOP;
END $dwenv$;
";

/// Looks whether all of it is still there, and lets go of it.
const LET_GO: &str = r"DO $dwenv$ DECLARE kept regclass; gone text; BEGIN
  IF to_regclass('pg_temp.dwenv_kept') IS NULL THEN
    RAISE EXCEPTION 'the file ended the transaction in which it was run';
  END IF;
  SELECT string_agg(k.relname || '.' || k.attname, ', ') INTO gone FROM dwenv_kept k WHERE NOT EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = k.relation AND a.attnum = k.attnum AND NOT a.attisdropped);
  IF gone IS NOT NULL THEN
    RAISE EXCEPTION 'the file would remove what was there before: %', gone;
  END IF;
  FOR kept IN SELECT DISTINCT relation FROM dwenv_kept WHERE relkind = 'r' LOOP
    PERFORM pg_temp.dwenv_locks(kept, 'ACCESS EXCLUSIVE');
    EXECUTE format('DROP TRIGGER dwenv_keeps_rows ON %s', kept);
    EXECUTE format('DROP TRIGGER dwenv_keeps_all ON %s', kept);
  END LOOP;
END $dwenv$;
SELECT count(*) > 0 AS dwenv_has_held, string_agg(format('%s of %s', held, relation::regclass), ', ') AS dwenv_held FROM (
  SELECT relation, string_agg(format('%s %s', verb, rows), ', ' ORDER BY verb) AS held
  FROM (SELECT relation, verb, count(*) AS rows FROM pg_temp.dwenv_held GROUP BY relation, verb) one
  GROUP BY relation ORDER BY relation) tables \gset
";

/// Tells which rows were kept from the file, once all of it is done.
fn told() -> String {
    format!(
        "\\if :dwenv_has_held\n\\echo {NOTE}What the file does to rows of tables that were there before was held back, \
         with all that it would have taken from them: :dwenv_held\n\\endif\n"
    )
}

/// The transaction as the box's psql reads it: `mends` of the tables first, then the author's file where some are
/// missing.
pub fn whole(declared: &Postgres, mends: &str, mended: &[&str], makes_tables: bool) -> String {
    let held = mended.iter().map(|table| {
        let table = quote::sql(&quote::sql_identifier(table));
        format!("SELECT pg_temp.dwenv_locks({table}, 'ACCESS EXCLUSIVE') \\g /dev/null\n")
    });
    let held: String = held.collect();
    let file = if makes_tables {
        // Whatever the file set, and wherever its last statement ends.
        let set_back = "\\set ON_ERROR_STOP on\nRESET ALL;\n";
        format!(
            "{KEEP}{}{set_back}{LET_GO}{}",
            as_role(declared, "\n;"),
            record(declared)
        )
    } else {
        String::new()
    };
    let told = if makes_tables { told() } else { String::new() };
    format!("BEGIN;\n{LOCK}{held}{mends}{file}COMMIT;\n{told}")
}

/// What of it changes the tables, for whoever agrees to it.
pub fn shown(declared: &Postgres, mends: &str, makes_tables: bool) -> String {
    let file = if makes_tables {
        as_role(declared, "")
    } else {
        String::new()
    };
    format!("BEGIN;\n{mends}{file}COMMIT;\n")
}

/// The file as the role runs it, so that the tables are its own.
fn as_role(declared: &Postgres, end: &str) -> String {
    format!(
        "SET ROLE {};\n{}{end}\nRESET ROLE;\n",
        quote::sql_identifier(&declared.role),
        declared.schema_sql
    )
}

fn record(declared: &Postgres) -> String {
    format!(
        "DO $dwenv$ BEGIN EXECUTE format('ALTER DATABASE %I SET {RECORD} = %L', current_database(),\n\
         \x20 '{} ' || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"')); END $dwenv$;\n",
        sha256(&declared.create_schema.content)
    )
}

/// The command by which somebody runs the file in the box and puts it on record, rows of all tables included.
///
/// Nothing in it is a double quote: what is typed has those around it. A declaration's names need none.
pub fn by_hand(workshop: &Workshop) -> String {
    let declared = &workshop.postgres;
    let file = file_in_box(workshop);
    let brackets = drop_brackets(&declared.create_schema.content);
    // One transaction it is only without those that the file has of its own.
    let reads = if brackets.is_empty() {
        String::new()
    } else {
        format!(
            "LC_ALL=C sed -E {} {} | ",
            quote::sh(&brackets),
            quote::sh(&file)
        )
    };
    let psql = format!(
        "sudo -u postgres psql -p {port} -d {database} -1 -v ON_ERROR_STOP=1 -c 'SET ROLE {role}' -f - \
         -c 'RESET ROLE' -c {record}",
        port = declared.port,
        database = declared.database,
        role = declared.role,
        record = quote::sh(&format!(
            "ALTER DATABASE {} SET {RECORD} = '{}'",
            declared.database,
            sha256(&declared.create_schema.content)
        )),
    );
    let from = match reads.as_str() {
        "" => format!(" <{}", quote::sh(&file)),
        _ => String::new(),
    };
    // What lies in the box may be another than the one that goes on record.
    let is_it = quote::sh(&format!(
        "{}  {file}",
        sha256(&declared.create_schema.content)
    ));
    format!("echo {is_it} | sha256sum -c --quiet - && {reads}{psql}{from}")
}

/// The command that saves all of the database before, beside the file.
pub fn save(workshop: &Workshop, keeping: &Keeping) -> String {
    let declared = &workshop.postgres;
    let saved = format!("{}/{}.sql", workshop.server.directory, declared.database);
    let saved = keeping.name(&saved);
    // What is not whole has another name, and a second typing does not cost what the first one saved.
    format!(
        "sudo -u postgres pg_dump -p {port} -d {database} >{new} && mv -T --backup=numbered {new} {saved}",
        port = declared.port,
        database = declared.database,
        new = quote::sh(&format!("{saved}.new")),
        saved = quote::sh(&saved),
    )
}

/// The author's file as it lies in the box, from the home of the box's user.
fn file_in_box(workshop: &Workshop) -> String {
    format!(
        "{}/{}",
        workshop.server.directory, workshop.postgres.create_schema.name
    )
}

/// What has sed drop the author's own `BEGIN` and `COMMIT`, by their lines; of one line the last comes first.
fn drop_brackets(text: &str) -> String {
    let mut commands = Vec::new();
    for bracket in sql::brackets(text).into_iter().rev() {
        let mut start = bracket.start;
        for part in text[bracket].split_inclusive('\n') {
            let before = &text[..start];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
            match (column, part.trim_end_matches('\n').len()) {
                (_, 0) => {}
                (0, length) => commands.push(format!("{line}s/^.{{{length}}}//")),
                (_, length) => {
                    commands.push(format!("{line}s/^(.{{{column}}}).{{{length}}}/\\1/"));
                }
            }
            start += part.len();
        }
    }
    commands.join(";")
}

#[cfg(all(test, unix))]
mod tests {
    use super::drop_brackets;

    #[test]
    fn the_authors_brackets_are_dropped_where_they_stand() {
        let sed = |text: &str| {
            use std::io::Write;
            use std::process::{Command, Stdio};
            let mut sed = Command::new("sed")
                .args(["-E", &drop_brackets(text)])
                .env("LC_ALL", "C")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = sed.stdin.take().unwrap();
            stdin.write_all(text.as_bytes()).unwrap();
            drop(stdin);
            String::from_utf8(sed.wait_with_output().unwrap().stdout).unwrap()
        };
        assert_eq!(sed("BEGIN;\nSELECT 1;\nCOMMIT;\n"), "\nSELECT 1;\n\n");
        assert_eq!(
            sed("SELECT 'é; BEGIN;'; begin; a; COMMIT; SELECT 'COMMIT;';\nbegin\n  work;\n"),
            "SELECT 'é; BEGIN;';  a;  SELECT 'COMMIT;';\n\n\n"
        );
    }
}
