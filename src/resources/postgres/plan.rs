//! How PostgreSQL's drifts are mended.

use super::super::change::Plan;
use super::super::files::{KEEP, WRITTEN};
use super::super::releases;
use super::Drift;
use super::facts::{Cluster, Clusters, EACH_CLUSTER, PSQL, READ_CLUSTER};
use super::schema::SchemaDrift;
use super::transaction;
use crate::facts::Facts;
use crate::provision::outcome::Difference;
use crate::quote;
use crate::workshop::{Postgres, Workshop};

/// Where the lines that dwenv keeps in `pg_hba.conf` begin and end.
const BLOCK_BEGIN: &str = "# dwenv: begin";
const BLOCK_END: &str = "# dwenv: end";

/// What pg_createcluster(1) copies into the configuration of a new cluster.
const NEW_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/dwenv.conf";

/// The unit of the cluster on our port, found when the script runs: no plan can know its version.
fn cluster_unit(port: u16) -> String {
    format!(
        r#"unit=
{EACH_CLUSTER}{READ_CLUSTER}  [ "$port" != {port} ] || unit=postgresql@$version-$name
done
[ -n "$unit" ] || {{ echo "no PostgreSQL cluster has port {port}" >&2; exit 1; }}
"#
    )
}

/// Where other lines than the first give the port, these give the declared one as well; the files as they
/// were are kept beside.
fn last_word(port: u16, cluster: &Cluster) -> String {
    format!(
        "{KEEP}conf={conf}\n{READ_CLUSTER}\
         [ ! -e \"$auto\" ] || sed -i '/^port *=/d' \"$auto\"\n\
         [ \"$port\" = {port} ] || for file in \"$conf\" \"$folder\"/conf.d/*.conf; do\n\
         \x20 [ ! -e \"$file\" ] || {{ keep \"$file\"; sed -i 's/^\\([[:space:]]*port\\)[[:space:]=].*/\\1 = {port}/' \"$file\"; }}\n\
         done\n",
        conf = quote::sh(&format!("{}/postgresql.conf", cluster.folder()))
    )
}

/// psql in a script of a change: stops at the first error.
fn psql(port: u16, database: &str) -> String {
    // A transaction that somebody left open would hold up the change, and everybody behind it.
    format!(
        "PGOPTIONS='-c lock_timeout=10s' {PSQL} -v ON_ERROR_STOP=1 -p {port} -d {}",
        quote::sh(database)
    )
}

pub fn plan(workshop: &Workshop, facts: &Facts, drift: &Drift) -> Plan {
    let declared = &workshop.postgres;
    let port = declared.port;
    match drift {
        Drift::PackageMissing => install(declared),
        Drift::TooOld { found, wanted } => Plan::leave(format!(
            "PostgreSQL {found} is what this release has, and {wanted} is wanted: \
             the box or the declaration has to change"
        )),
        Drift::Unusable { said } => Plan::leave(format!("PostgreSQL does not answer: {said}")),
        Drift::RulesBroken { lines, .. } => Plan::leave(format!(
            "somebody's own in pg_hba.conf, and wrong: {}",
            super::judge::named_lines(lines)
        )),
        Drift::Masked { unit } => {
            Plan::leave(format!("{unit} is masked, so somebody forbade it to start"))
        }
        Drift::Failed { said, .. } => {
            Plan::leave(format!("PostgreSQL does not start: {said}"))
        }
        Drift::DataFull { folder, .. } => Plan::leave(format!(
            "what may be removed to make room in {folder} only its owner knows"
        )),
        Drift::DataHeld { pid, process, .. } => Plan::leave(format!(
            "{process} (pid {pid}) was not started by dwenv"
        )),
        Drift::DataModes { unit, folder, .. } => Plan::script(
            "Give PostgreSQL's folder of data back to it, and start it",
            format!(
                "chown postgres:postgres {0}\nchmod 700 {0}\n\
                 systemctl reset-failed {1} 2>/dev/null || true\nsystemctl start {1}",
                quote::sh(folder),
                quote::sh(unit)
            ),
        ),
        Drift::Collations(databases) => refresh_collations(port, databases),
        Drift::NotAuto { cluster } => {
            let file = quote::sh(&format!("{}/start.conf", cluster.folder()));
            Plan::script(
                "Have PostgreSQL's cluster start with the box",
                format!(
                    "echo auto >{file}.dwenv-new\nchmod 644 {file}.dwenv-new\nchown postgres:postgres {file}.dwenv-new\n\
                     sync {file}.dwenv-new\nmv -T {file}.dwenv-new {file}\nsystemctl daemon-reload"
                ),
            )
        }
        Drift::NoCluster => Plan::script(
            "Make PostgreSQL's cluster",
            format!(
                "version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)\n\
                 pg_createcluster -p {port} \"$version\" main\n\
                 systemctl enable postgresql\nsystemctl daemon-reload\n\
                 systemctl start \"postgresql@$version-main\""
            ),
        ),
        Drift::OtherPort { cluster } => {
            let (version, name) = (quote::sh(&cluster.version), quote::sh(&cluster.name));
            Plan::script(
                format!("Give PostgreSQL's cluster the port {port}"),
                format!(
                    "pg_conftool {version} {name} set port {port}\n{}\
                     systemctl enable postgresql\nsystemctl restart postgresql@{version}-{name}",
                    last_word(port, cluster)
                ),
            )
        }
        Drift::NotEnabled => {
            Plan::script("Enable PostgreSQL", "systemctl enable postgresql").unattended()
        }
        Drift::Stopped { .. } => Plan::script(
            "Start PostgreSQL",
            format!(
                "{}systemctl enable postgresql\nsystemctl reset-failed \"$unit\" 2>/dev/null || true\n\
                 systemctl start postgresql \"$unit\" || {{ journalctl -u \"$unit\" -n 20 --no-pager; exit 1; }}\n\
                 # It ran before, and still has the port that it had then.\n\
                 [ -n \"$(ss -Hltn 'sport = :{port}')\" ] || systemctl restart \"$unit\"",
                cluster_unit(port)
            ),
        )
        .unattended(),
        Drift::SettingsWrong { lines, .. } => {
            let files = super::judge::named_files(lines);
            Plan::leave(format!("somebody's own, and wrong: {files}"))
        }
        Drift::SettingsOwed { pending } => take_over_settings(port, pending),
        Drift::Deaf => Plan::script(
            "Start PostgreSQL again",
            format!("{}systemctl restart \"$unit\"", cluster_unit(port)),
        ),
        // One change for both: a declaration of who gets in is never in effect by halves.
        Drift::Listen { .. } | Drift::RulesMissing { .. } | Drift::RulesNotLoaded => {
            let_in(declared)
        }
        Drift::RoleMissing
        | Drift::RoleUnsuitable { .. }
        | Drift::PasswordRefused { .. }
        | Drift::PasswordStored { .. }
        | Drift::DatabaseMissing => create_database(declared, facts, drift),
        Drift::DatabaseOwner { .. } => {
            let sql = format!(
                "ALTER DATABASE {} OWNER TO {};\n",
                quote::sql_identifier(&declared.database),
                quote::sql_identifier(&declared.role)
            );
            run_sql(
                format!(
                    "Give the database {} to {}",
                    declared.database, declared.role
                ),
                port,
                "postgres",
                sql,
            )
        }
        Drift::Schema(drifts) => mend_schema(declared, drifts),
        Drift::SchemaFileChanged { .. } => Plan::leave(format!(
            "{} is run where a table is missing, and all are there",
            declared.create_schema.path
        )),
    }
}

/// Reads the files of settings again, and starts the server anew only where one of them needs that.
fn take_over_settings(port: u16, pending: &[String]) -> Plan {
    let title = match pending {
        [] => "Have PostgreSQL read its files of settings".to_owned(),
        names => format!(
            "Start PostgreSQL again, for its settings {}",
            names.join(", ")
        ),
    };
    let script = format!(
        r#"{unit}psql() {{ {psql} -c "$1" </dev/null; }}
before=$(psql 'SELECT pg_conf_load_time()')
psql 'SELECT pg_reload_conf()' >/dev/null
tries=100
until [ "$(psql 'SELECT pg_conf_load_time()')" != "$before" ]; do
  tries=$((tries - 1))
  if [ $tries -le 0 ]; then echo "PostgreSQL does not take its settings over: see its log" >&2; exit 1; fi
  sleep 0.1
done
if [ -n "$(psql 'SELECT name FROM pg_settings WHERE pending_restart')" ]; then systemctl restart "$unit"; fi
"#,
        unit = cluster_unit(port),
        psql = psql(port, "postgres"),
    );
    Plan::script(title, script)
}

/// The first cluster, which the package makes, listens from the start where it shall: no restart is owed.
/// (Until the rules are in place PostgreSQL's own let nobody in from outside.)
fn install(declared: &Postgres) -> Plan {
    // pg_createcluster(1): as in postgresql.conf, with `%` doubled.
    let listen = quote::sql(&declared.listen_addresses).replace('%', "%%");
    // What is not synced here is before the installation ends: see `apt::UNSYNCED`.
    let settings = format!("listen_addresses = {listen}\ninitdb_options = '--no-sync'\n");
    Plan::install_with(
        [releases::POSTGRES],
        [(NEW_CLUSTER.to_owned(), settings)].into(),
    )
}

/// An index that was built by other sorting rules may miss rows: it is built anew before the database says
/// that it knows the new ones.
fn refresh_collations(port: u16, databases: &[String]) -> Plan {
    let mut sql = String::new();
    for database in databases {
        let name = quote::sql_identifier(database);
        sql.push_str(&format!(
            "\\connect {name}\nREINDEX DATABASE {name};\nALTER DATABASE {name} REFRESH COLLATION VERSION;\n"
        ));
    }
    run_sql(
        format!(
            "Build the indexes anew by the present sorting rules: {}",
            databases.join(", ")
        ),
        port,
        "postgres",
        sql,
    )
}

fn run_sql(title: String, port: u16, database: &str, sql: String) -> Plan {
    Plan::script_reading(title, psql(port, database), sql.clone()).showing(vec![Difference {
        subject: format!("database {database}"),
        text: sql,
    }])
}

/// The lines at the head of `pg_hba.conf`.
fn rules(declared: &Postgres) -> String {
    let mut text = format!("{BLOCK_BEGIN}: these lines are kept by `dwenv provision`\n");
    for address in &declared.allow_from {
        text.push_str(&format!(
            "host {} {} {address} scram-sha-256\n",
            quote::sql_identifier(&declared.database),
            quote::sql_identifier(&declared.role)
        ));
    }
    text.push_str(&format!("{BLOCK_END}\n"));
    text
}

fn let_in(declared: &Postgres) -> Plan {
    let port = declared.port;
    let block = rules(declared);
    let set = format!(
        "ALTER SYSTEM SET listen_addresses = {}",
        quote::sql(&declared.listen_addresses)
    );
    let script = format!(
        r#"{unit}{KEEP}psql() {{ {psql} "$@"; }}
hba=$(psql -c 'SHOW hba_file' </dev/null)
block=$(cat)
case $block in *"{BLOCK_END}") ;; *) echo "the rules did not come whole" >&2; exit 1 ;; esac
written={WRITTEN}; mkdir -p "${{written%/*}}"; touch "$written"
recorded() {{ sum=$(printf '%s\n' "$1" | sha256sum); line="${{sum%% *}} $hba"; grep -qxF "$line" "$written"; }}
# Without its last line nobody can say where the old block ends: then its rules stay, below the new ones.
drop='/^{BLOCK_BEGIN}/d'
if grep -q '^{BLOCK_END}' "$hba"; then
  lines='/^{BLOCK_BEGIN}/,/^{BLOCK_END}/'
  drop=${{lines}}d
  old=$(sed -n "${{lines}}p" "$hba")
  [ -z "$old" ] || [ "$old" = "$block" ] || recorded "$old" || keep "$hba"
fi
recorded "$block" || printf '%s\n' "$line" >>"$written"
{{ printf '%s\n' "$block"; sed "$drop" "$hba"; }} >"$hba.dwenv-new"
chown --reference="$hba" "$hba.dwenv-new"
chmod --reference="$hba" "$hba.dwenv-new"
sync "$hba.dwenv-new"
mv "$hba.dwenv-new" "$hba"
psql -c {set} </dev/null
if [ "$(psql -c 'SHOW listen_addresses' </dev/null)" = {listen} ]; then
  # A reload by systemd is lost on a unit that is still about to start.
  psql -c 'SELECT pg_reload_conf()' </dev/null >/dev/null
else
  systemctl restart "$unit"
fi
"#,
        unit = cluster_unit(port),
        psql = psql(port, "postgres"),
        set = quote::sh(&set),
        listen = quote::sh(&declared.listen_addresses),
    );
    Plan::script_reading(
        "Let the laptop and the containers in to PostgreSQL",
        script,
        block.clone(),
    )
    .showing(vec![
        Difference {
            subject: "pg_hba.conf (at its head)".to_owned(),
            text: block,
        },
        Difference {
            subject: "database postgres".to_owned(),
            text: format!("{set};\n"),
        },
    ])
}

fn create_database(declared: &Postgres, facts: &Facts, drift: &Drift) -> Plan {
    let (role, database) = (&declared.role, &declared.database);
    let database_missing = match facts.get::<Clusters>().as_ref() {
        Ok(clusters) => clusters
            .server
            .as_ref()
            .is_none_or(|server| server.database.is_none()),
        Err(_) => true,
    };
    let title = match drift {
        Drift::DatabaseMissing => format!("Create the database {database}"),
        Drift::RoleMissing if database_missing => {
            format!("Create the role {role} and the database {database}")
        }
        Drift::RoleMissing => format!("Create the role {role}"),
        _ => format!(
            "Set the role {} and its password as declared",
            declared.role
        ),
    };
    // The password itself never reaches the box: a verifier is made here.
    let verifier =
        postgres_protocol::password::scram_sha_256(declared.password.reveal().as_bytes());
    let prelude = |password: &str| {
        format!(
            "SET log_statement = 'none';\nSET log_min_error_statement = 'panic';\n\\set role {}\n\\set database {}\n\\set password {password}\n",
            quote::sql(&declared.role),
            quote::sql(&declared.database)
        )
    };
    let role = format!(
        "ALTER ROLE {} LOGIN NOSUPERUSER PASSWORD ",
        quote::sql_identifier(&declared.role)
    );
    let file = &declared.create_database.content;
    let sql = format!(
        "{}{file}\n{role}{};\n",
        prelude(&quote::sql(&verifier)),
        quote::sql(&verifier)
    );
    Plan::script_reading(title, psql(declared.port, "postgres"), sql).showing(vec![Difference {
        subject: format!("database postgres ({})", declared.create_database.path),
        text: format!("{}{file}\n{role}'…';\n", prelude("'…'")),
    }])
}

fn mend_schema(declared: &Postgres, drifts: &[SchemaDrift]) -> Plan {
    let mut mends = String::new();
    let mut mended = Vec::new();
    let mut refusals = Vec::new();
    for drift in drifts {
        match drift.mend(&declared.role) {
            Ok(sql) if sql.is_empty() => {}
            Ok(sql) => {
                mends.push_str(&sql);
                mended.push(drift.table());
            }
            Err(reason) => refusals.push(reason),
        }
    }
    if !refusals.is_empty() {
        return Plan::leave(refusals.join("; "));
    }
    let missing = |drift: &SchemaDrift| matches!(drift, SchemaDrift::TableMissing { .. });
    let makes_tables = drifts.iter().any(missing);
    let mut tables: Vec<&str> = drifts.iter().map(SchemaDrift::table).collect();
    tables.dedup();
    mended.dedup();
    let verb = if drifts.iter().all(missing) {
        "Create"
    } else {
        "Mend"
    };
    let title = format!(
        "{verb} the tables of {}: {}",
        declared.database,
        tables.join(", ")
    );
    Plan::script_reading(
        title,
        psql(declared.port, &declared.database),
        transaction::whole(declared, &mends, &mended, makes_tables),
    )
    .showing(vec![Difference {
        subject: format!("database {}", declared.database),
        text: transaction::shown(declared, &mends, makes_tables),
    }])
}
