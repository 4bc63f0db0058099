//! The SQL that asks a running server everything, in one session of its superuser.

use super::transaction::RECORD;
use crate::quote;
use crate::workshop::{Postgres, Workshop};

/// First as seen from the database `postgres`, then inside the workshop's.
pub fn questions(workshop: &Workshop) -> String {
    let postgres = &workshop.postgres;
    let connect = quote::sql_identifier(&postgres.database);
    format!(
        "SET lock_timeout = '3s';\n{}{SETTINGS}{COLLATIONS}\\connect {connect}\nSET lock_timeout = '3s';\n{}\
         SELECT 'applied ' || current_setting('{RECORD}', true);\n",
        server(postgres),
        tables(postgres)
    )
}

/// Who may log in, from where, and to what. A file from the time to come was written while the box's clock was ahead:
/// no reading of it would ever be later.
fn server(postgres: &Postgres) -> String {
    format!(
        r"SELECT 'server ' || json_build_object(
  'version', current_setting('server_version_num')::int,
  'listen', current_setting('listen_addresses'),
  'rules_loaded', (SELECT modification <= pg_conf_load_time() OR modification > now()
      FROM pg_stat_file(current_setting('hba_file'))),
  'rules', (SELECT coalesce(json_agg(json_build_object('line', line_number, 'type', type,
      'databases', database, 'roles', user_name, 'address', address, 'netmask', netmask,
      'method', auth_method, 'error', error) ORDER BY line_number), '[]') FROM pg_hba_file_rules),
  'role', (SELECT json_build_object('can_login', rolcanlogin, 'superuser', rolsuper, 'stored',
      CASE WHEN rolpassword IS NULL THEN 'nothing' WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram'
        WHEN rolpassword LIKE 'md5%' THEN 'md5' ELSE 'other' END)
      FROM pg_authid WHERE rolname = {role}),
  'database', (SELECT json_build_object('owner', pg_get_userbyid(datdba))
      FROM pg_database WHERE datname = {database}))::text;
",
        role = quote::sql(&postgres.role),
        database = quote::sql(&postgres.database),
    )
}

/// Reading the files of settings also marks, in this session, what a start would change: so they are read first.
/// A setting that waits for the start is told there as one that could not be applied; and one that no file sets any
/// more as an error of none.
const SETTINGS: &str = r"SET lc_messages TO 'C';
SELECT count(*) AS lines FROM pg_file_settings \gset
SELECT 'settings ' || json_build_object(
  'wrong', (SELECT coalesce(json_agg(json_build_object('file', coalesce(sourcefile, ''), 'line', coalesce(sourceline, 0),
      'error', coalesce(name || ': ', '') || error) ORDER BY seqno), '[]') FROM pg_file_settings
      WHERE error IS NOT NULL
        AND NOT (sourcefile IS NULL AND error LIKE '%cannot be changed without restarting the server')
        AND NOT coalesce(lower(name) IN (SELECT lower(name) FROM pg_settings WHERE pending_restart), false)),
  'pending', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart),
  'unread', (SELECT coalesce(bool_or(modification > pg_conf_load_time() AND modification <= now()), false)
      FROM (SELECT DISTINCT sourcefile AS file FROM pg_file_settings WHERE sourcefile IS NOT NULL) files,
        pg_stat_file(file)))::text;
";

const COLLATIONS: &str = r"SELECT current_setting('server_version_num')::int >= 150000 AS tells_collations \gset
\if :tells_collations
SELECT 'collations ' || coalesce(json_agg(datname ORDER BY datname), '[]')::text FROM pg_database
  WHERE datallowconn AND datcollversion <> pg_database_collation_actual_version(oid);
\endif
";

/// Whether a query finds anything in the table `c`, of which it may name the column `a`. Each is asked of a
/// table, never of a view, whose own functions would run with the superuser's rights.
fn finds(query: &str) -> String {
    let count = format!("SELECT count(*) AS n FROM (SELECT FROM %s {query} LIMIT 1) one");
    let column = if query.is_empty() { "" } else { ", a.attname" };
    format!(
        "(xpath('/row/n/text()', query_to_xml(format({}, c.oid::regclass{column}), false, true, '')))[1]::text <> '0'",
        quote::sql(&count)
    )
}

/// What has a declared table's name, and as far as it differs, what would keep it from being mended.
fn tables(postgres: &Postgres) -> String {
    let mut wanted = vec!["(NULL::text, NULL::text, NULL::text, false, false)".to_owned()];
    let mut names = vec!["NULL".to_owned()];
    for table in &postgres.tables {
        names.push(quote::sql(&table.name));
        wanted.extend(table.columns.iter().map(|column| {
            format!(
                "({}, {}, {}, {}, {})",
                quote::sql(&table.name),
                quote::sql(&column.name),
                quote::sql(&column.data_type),
                column.not_null,
                column.primary_key
            )
        }));
    }
    format!(
        r"WITH wanted(relation, name, data_type, not_null, key) AS (VALUES {wanted})
SELECT 'tables ' || coalesce(json_agg(json_build_object('name', c.relname,
  'owner', pg_get_userbyid(c.relowner),
  'instead', CASE WHEN c.relkind IN ('r', 'p') THEN NULL WHEN c.relkind = 'v' THEN 'a view'
    WHEN c.relkind = 'm' THEN 'a materialized view' WHEN c.relkind = 'S' THEN 'a sequence'
    WHEN c.relkind = 'f' THEN 'a foreign table' WHEN c.relkind IN ('i', 'I') THEN 'an index' ELSE 'something else' END,
  'has_rows', CASE WHEN c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM wanted w WHERE w.relation = c.relname
      AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = w.name
        AND a.attnum > 0 AND NOT a.attisdropped))
    THEN {rows} END,
  'columns', (SELECT json_agg(json_build_object('name', a.attname,
      'data_type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
      'default', pg_get_expr(d.adbin, d.adrelid),
      'primary_key', coalesce(a.attnum = ANY (i.indkey), false),
      'has_nulls', CASE WHEN c.relkind IN ('r', 'p') AND w.not_null AND NOT a.attnotnull THEN {nulls} END,
      'has_twins', CASE WHEN c.relkind IN ('r', 'p') AND w.key AND NOT coalesce(a.attnum = ANY (i.indkey), false)
        AND w.data_type = format_type(a.atttypid, a.atttypmod) THEN {twins} END,
      'held_by', CASE WHEN w.data_type <> format_type(a.atttypid, a.atttypmod) THEN
        (SELECT coalesce(json_agg(held ORDER BY held), '[]') FROM (
          SELECT 'the view ' || r.ev_class::regclass AS held FROM pg_depend p JOIN pg_rewrite r ON r.oid = p.objid
            WHERE p.classid = 'pg_rewrite'::regclass AND p.refclassid = 'pg_class'::regclass
              AND p.refobjid = c.oid AND p.refobjsubid = a.attnum
          UNION SELECT 'the foreign key ' || k.conname FROM pg_constraint k WHERE k.contype = 'f'
            AND (k.conrelid = c.oid AND a.attnum = ANY (k.conkey) OR k.confrelid = c.oid AND a.attnum = ANY (k.confkey))
        ) holders) END) ORDER BY a.attnum)
    FROM pg_attribute a
    LEFT JOIN wanted w ON w.relation = c.relname AND w.name = a.attname
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))), '[]')::text
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN ({names});
",
        wanted = wanted.join(", "),
        names = names.join(", "),
        rows = finds(""),
        nulls = finds("WHERE %I IS NULL"),
        twins = finds("GROUP BY %I HAVING count(*) > 1"),
    )
}
