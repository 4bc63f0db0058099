//! A change of the schema: one transaction, for all of it or nothing.
//!
//! The author's file is run where a table is missing. It makes what is missing, and cannot touch what was there
//! before: its rows are kept from it, and a table or column that it removes ends the transaction. So a row that
//! somebody deleted does not come back with another table.

use super::super::files::sha256;
use crate::quote;
use crate::workshop::{Postgres, Workshop};

/// The setting of the database in which stands which file was run in it, and when. It changes in the same
/// transaction as the tables, belongs to no schema, and is in no dump of one.
pub const RECORD: &str = "dwenv.schema";

/// Two changes at once wait for each other; one that was cut is ended by the server at once, where it can tell.
const LOCK: &str = r"SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval' \g /dev/null
SELECT pg_advisory_xact_lock(hashtext('dwenv')) \g /dev/null
";

/// Keeps all that there is from what comes next: ordinary tables as `'r'` have the rows, partitioned ones not.
const KEEP: &str = r"\set SHOW_CONTEXT never
CREATE TEMPORARY TABLE dwenv_kept ON COMMIT DROP AS
  SELECT c.oid AS relation, c.relname, c.relkind, a.attnum, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped;
CREATE FUNCTION pg_temp.dwenv_keeps() RETURNS trigger LANGUAGE plpgsql AS $dwenv$ BEGIN
  IF TG_OP = 'TRUNCATE' THEN RAISE EXCEPTION 'the file would empty %, which was there before', TG_RELID::regclass; END IF;
  RETURN NULL;
END $dwenv$;
DO $dwenv$ DECLARE kept regclass; BEGIN
  FOR kept IN SELECT DISTINCT relation FROM dwenv_kept WHERE relkind = 'r' LOOP
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
    EXECUTE format('DROP TRIGGER dwenv_keeps_rows ON %s', kept);
    EXECUTE format('DROP TRIGGER dwenv_keeps_all ON %s', kept);
  END LOOP;
END $dwenv$;
";

/// The transaction as the box's psql reads it: `mends` first, then the author's file where tables are missing.
pub fn whole(declared: &Postgres, mends: &str, makes_tables: bool) -> String {
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
    format!("BEGIN;\n{LOCK}{mends}{file}COMMIT;\n")
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
    format!(
        "sudo -u postgres psql -p {port} -d {database} -v ON_ERROR_STOP=1 -c 'SET ROLE {role}' -f - -c 'RESET ROLE' \
         -c {record} <{folder}/{file}",
        port = declared.port,
        database = declared.database,
        role = declared.role,
        record = quote::sh(&format!(
            "ALTER DATABASE {} SET {RECORD} = '{}'",
            declared.database,
            sha256(&declared.create_schema.content)
        )),
        folder = quote::sh(&workshop.server.directory),
        file = quote::sh(&declared.create_schema.name),
    )
}
