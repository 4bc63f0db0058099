//! What goes wrong in a box: doctor names just that, and provision mends it without losing a row.

use dwenv::target::sandbox::Suite;

use crate::workbox::{Workbox, assert_untouched, superuser};

/// One thing that goes wrong.
struct Fault {
    what: &'static str,
    /// The command in the box that brings it about.
    inject: String,
    /// The check that fails, and no other.
    fails: &'static str,
    /// What doctor says of it.
    says: &'static str,
}

fn fault(
    what: &'static str,
    inject: impl Into<String>,
    fails: &'static str,
    says: &'static str,
) -> Fault {
    Fault {
        what,
        inject: inject.into(),
        fails,
        says,
    }
}

/// One after the other: named by doctor, mended by provision, and no row is lost.
fn all_are_named_and_mended(it: &Workbox, faults: &[Fault]) {
    let rows = it.post("A row of an attendee");
    for fault in faults {
        println!("--- {}", fault.what);
        it.run(&fault.inject);
        let seen = it.doctor();
        seen.fails(fault.fails);
        let summary = seen.check(fault.fails).summary;
        assert!(summary.contains(fault.says), "{}: {summary}", fault.what);
        it.provision().exit(0).says("the box is as declared");
        it.doctor().ready();
        assert_eq!(it.rows(), rows, "{}", fault.what);
    }
}

#[test]
fn services_that_stopped_or_will_not_start_again() {
    let it = Workbox::provisioned(Suite::Trixie);
    all_are_named_and_mended(
        &it,
        &[
            fault(
                "Docker stopped",
                "sudo systemctl stop docker.socket docker.service",
                "box.docker.daemon",
                "docker.service is inactive",
            ),
            fault(
                "Docker will not start with the box",
                "sudo systemctl disable -q docker.service",
                "box.docker.daemon",
                "will not start with the box",
            ),
            fault(
                "the user left the group",
                "sudo gpasswd -d vagrant docker >/dev/null",
                "box.docker.group",
                "vagrant is not in the group docker",
            ),
            fault(
                "PostgreSQL stopped",
                "sudo systemctl stop postgresql",
                "box.postgres.running",
                "does not run",
            ),
            fault(
                "PostgreSQL will not start with the box",
                "sudo systemctl disable -q postgresql",
                "box.postgres.running",
                "will not start with the box",
            ),
            fault(
                "the server stopped",
                "sudo systemctl stop docker-workshop",
                "box.server.unit",
                "docker-workshop.service is inactive",
            ),
            fault(
                "the server will not start with the box",
                "sudo systemctl disable -q docker-workshop",
                "box.server.unit",
                "will not start with the box",
            ),
            fault(
                "the server was killed for good",
                "sudo systemctl kill -s KILL docker-workshop; sudo systemctl stop docker-workshop",
                "box.server.unit",
                "docker-workshop.service is",
            ),
            fault(
                "Python's driver was removed",
                "sudo apt-get remove -qy python3-psycopg >/dev/null 2>&1",
                "box.server.packages",
                "Not installed: python3-psycopg",
            ),
            fault(
                "Docker was removed",
                "sudo apt-get remove -qy docker.io >/dev/null 2>&1",
                "box.docker.package",
                "Not installed: docker.io",
            ),
            fault(
                "PostgreSQL was removed, its data left",
                "sudo apt-get remove -qy 'postgresql-1*' >/dev/null 2>&1",
                "box.postgres.package",
                "Not installed: postgresql",
            ),
        ],
    );

    // What somebody forbade is not undone: the remedy is theirs to type, and it works.
    for (unit, forbid, check) in [
        (
            "docker.service",
            "sudo systemctl mask -q --now docker.socket docker.service",
            "box.docker.daemon",
        ),
        (
            "docker-workshop.service",
            "sudo systemctl stop docker-workshop; sudo mv /etc/systemd/system/docker-workshop.service /root; \
             sudo systemctl mask -q docker-workshop",
            "box.server.unit",
        ),
    ] {
        it.run(forbid);
        let seen = it.doctor();
        seen.fails(check);
        let before = it.fingerprint();
        it.provision()
            .exit(1)
            .says(&format!("{unit} is masked, so somebody forbade it"));
        assert_untouched(&before, &it.fingerprint());
        if unit == "docker-workshop.service" {
            it.run("sudo rm /etc/systemd/system/docker-workshop.service; sudo mv /root/docker-workshop.service /etc/systemd/system/");
        }
        for command in seen.check(check).commands {
            let (_, in_the_box) = command.split_once(" -- ").expect("typed on the laptop");
            it.run(in_the_box);
        }
        it.await_in_box("ss -Hltn 'sport = :8080' | grep -q .");
        it.doctor().ready();
    }
}

#[test]
fn a_database_that_somebody_changed() {
    let it = Workbox::provisioned(Suite::Trixie);
    all_are_named_and_mended(
        &it,
        &[
            fault(
                "it listens at home only",
                superuser("ALTER SYSTEM SET listen_addresses = 'localhost'")
                    + " && sudo systemctl restart postgresql",
                "box.postgres.listen",
                "listens on `localhost`, not on `*`",
            ),
            fault(
                "its rules were removed",
                "sudo sed -i '/dwenv: begin/,/dwenv: end/d' /etc/postgresql/*/main/pg_hba.conf && \
                 sudo systemctl reload postgresql",
                "box.postgres.rules",
                "let dockerworkshop in from",
            ),
            fault(
                "another rule stands before its rules",
                "sudo sed -i '1i host all all 10.0.0.0/8 reject' /etc/postgresql/*/main/pg_hba.conf && \
                 sudo systemctl reload postgresql",
                "box.postgres.rules",
                "let dockerworkshop in from",
            ),
            fault(
                "another port",
                "sudo pg_conftool $(ls /etc/postgresql) main set port 5433 && sudo systemctl restart postgresql",
                "box.postgres.running",
                "has port 5433, not 5432",
            ),
            fault(
                "another password",
                superuser("ALTER ROLE dockerworkshop PASSWORD 'other'"),
                "box.postgres.password",
                "refuses dockerworkshop's password",
            ),
            fault(
                "a superuser",
                superuser("ALTER ROLE dockerworkshop SUPERUSER"),
                "box.postgres.role",
                "is a superuser",
            ),
            fault(
                "a role that may not log in",
                superuser("ALTER ROLE dockerworkshop NOLOGIN"),
                "box.postgres.role",
                "may not log in",
            ),
            fault(
                "no role",
                superuser(
                    "REASSIGN OWNED BY dockerworkshop TO postgres; DROP OWNED BY dockerworkshop; \
                     DROP ROLE dockerworkshop",
                ),
                "box.postgres.role",
                "There is no role dockerworkshop",
            ),
            fault(
                "another owner of the database",
                superuser("ALTER DATABASE dockerworkshop OWNER TO postgres"),
                "box.postgres.database",
                "belongs to postgres, not to dockerworkshop",
            ),
            fault(
                "another owner of the table",
                superuser("ALTER TABLE call OWNER TO postgres"),
                "box.postgres.schema",
                "the table call belongs to postgres",
            ),
            fault(
                "a column dropped",
                superuser("ALTER TABLE call DROP COLUMN created_at"),
                "box.postgres.schema",
                "the column call.created_at is missing",
            ),
            fault(
                "the key dropped, with what counts it",
                superuser("ALTER TABLE call DROP COLUMN id"),
                "box.postgres.schema",
                "the column call.id is missing",
            ),
            fault(
                "a column of another type",
                superuser("ALTER TABLE call ALTER COLUMN payload TYPE varchar(40)"),
                "box.postgres.schema",
                "the column call.payload is of type character varying(40), not text",
            ),
            fault(
                "a default dropped",
                superuser("ALTER TABLE call ALTER COLUMN payload DROP DEFAULT"),
                "box.postgres.schema",
                "the column call.payload has no default, not the default ''::text",
            ),
            fault(
                "a column that may be null",
                superuser("ALTER TABLE call ALTER COLUMN created_at DROP NOT NULL"),
                "box.postgres.schema",
                "the column call.created_at may be null",
            ),
            fault(
                "no primary key",
                superuser("ALTER TABLE call DROP CONSTRAINT call_pkey"),
                "box.postgres.schema",
                "the column call.id is not the primary key",
            ),
        ],
    );

    // Many things at once: what hides behind what is found in the rounds of one run.
    let rows = it.rows();
    it.sql(
        "ALTER TABLE call DROP COLUMN created_at; ALTER TABLE call ALTER COLUMN payload DROP DEFAULT; \
         ALTER DATABASE dockerworkshop OWNER TO postgres; ALTER ROLE dockerworkshop PASSWORD 'other'",
    );
    it.sql("ALTER SYSTEM SET listen_addresses = 'localhost'");
    it.run("sudo systemctl stop docker-workshop postgresql docker.socket docker; rm docker-workshop/server.py");
    it.doctor().exit(1);
    it.provision().exit(0).says("the box is as declared");
    it.doctor().ready();
    assert_eq!(it.rows(), rows);

    // What is an attendee's own stays, and is no fault.
    it.sql("ALTER TABLE call ADD COLUMN mine int; CREATE TABLE notes (note text)");
    it.doctor().ready();
    it.provision().exit(0).says("Nothing to do");
    assert_eq!(it.sql("SELECT count(*) FROM notes"), "0");

    // A type that could not be turned back without a loss: said, and left alone.
    it.sql("ALTER TABLE call ALTER COLUMN created_at TYPE text");
    it.doctor().fails("box.postgres.schema");
    it.provision()
        .exit(1)
        .says("could lose what is in the rows");
    it.sql(
        "ALTER TABLE call ALTER COLUMN created_at TYPE timestamptz USING created_at::timestamptz",
    );
    it.sql("ALTER TABLE call ALTER COLUMN created_at SET DEFAULT now()");
    it.doctor().ready();

    // With the table gone, its rows are; the fixture comes again, once.
    it.sql("DROP TABLE call");
    let seen = it.doctor();
    seen.fails("box.postgres.schema");
    seen.says("the table call is missing");
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
    it.provision().exit(0).says("Nothing to do");
    assert_eq!(it.rows().len(), 1);

    // And with the database.
    it.run("cd / && sudo -u postgres dropdb --force dockerworkshop");
    it.doctor().fails("box.postgres.database");
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
}
