//! What makes it hard to get a box ready: a disk that is full in the middle, a daemon that does not start, tables that
//! somebody changed, two who do it at once. Each ends well, or with the error that names the cause, and nothing that
//! somebody stored is lost.

use dwenv::quote;
use dwenv::target::sandbox::Suite;

use crate::long_link;
use crate::workbox::Workbox;

/// Three disks that are there before anything is installed, all of them small but the last.
const DISKS: &str = r#"
disk() { mkdir -p "$1"; mount -t tmpfs -o "mode=755,size=$2" disk "$1"; }
disk /var/cache/apt/archives 4M
install -d -m 700 -o _apt /var/cache/apt/archives/partial
disk /usr/lib/postgresql 1M
disk /var/lib/postgresql 4G
"#;

#[test]
fn a_box_is_made_ready_whatever_is_in_the_way() {
    let it = Workbox::bare(Suite::Trixie);
    disks_that_are_full_in_the_middle(&it);
    let rows = it.post("A row of an attendee");
    a_docker_that_does_not_start(&it);
    tables_that_somebody_changed(&it);
    two_at_once(&it);
    assert_eq!(it.rows(), rows);
    long_link::there_and_back(&it);
    assert_eq!(it.rows(), rows);
}

/// The room for downloads, for programs, and for the database, each full at its time, and the same command again.
fn disks_that_are_full_in_the_middle(it: &Workbox) {
    in_box(it, DISKS);
    let enlarge = |place: &str| in_box(it, &format!("mount -o remount,size=4G {place}"));

    it.provision()
        .exit(1)
        .says("You don't have enough free space in /var/cache/apt/archives/");
    enlarge("/var/cache/apt/archives");

    it.provision().exit(1).says("No space left on device");
    enlarge("/usr/lib/postgresql");

    let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
    run.await_said("Finish the installation");
    in_box(it, "mount -o remount,size=6M /var/lib/postgresql");
    run.wait().exit(1).says("No space left on device");
    enlarge("/var/lib/postgresql");

    it.up().exit(0).says("Ready for the workshop.");
    it.doctor().ready();
    assert_eq!(it.run("sudo dpkg --audit"), "");
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
}

/// Its configuration is somebody's own, so that stays, and what Docker holds against it is told.
fn a_docker_that_does_not_start(it: &Workbox) {
    let config = "/etc/docker/daemon.json";
    let images = it.run("docker info --format '{{.Images}} {{.DockerRootDir}}'");
    for (content, cause) in [
        (
            "{ \"debug\": true \"mtu\": 1400 }",
            "[box.docker.config] is not as declared",
        ),
        ("{ \"debugg\": true }", "debugg"),
        ("{ \"hosts\": [\"unix:///var/run/docker.sock\"] }", "hosts"),
    ] {
        in_box(
            it,
            &format!(
                "mkdir -p /etc/docker; printf %s {} >{config}; systemctl restart docker || true",
                quote::sh(content)
            ),
        );
        let ran = it.provision();
        ran.exit(1).says(cause);
        assert_eq!(it.run(&format!("cat {config}")), content);
    }
    in_box(it, &format!("rm {config}"));
    // systemd may have started it again by itself.
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(
        it.run("docker info --format '{{.Images}} {{.DockerRootDir}}'"),
        images
    );
}

/// What can be put right without a loss is, and what cannot is left, with the reason.
fn tables_that_somebody_changed(it: &Workbox) {
    let sql = |statements: &str| {
        it.run(&format!(
            "cd /; sudo -u postgres psql -qAt -v ON_ERROR_STOP=1 -d dockerworkshop -c {} 2>&1",
            quote::sh(statements)
        ))
    };
    let all = "SELECT string_agg(call::text, E'\\n' ORDER BY id) FROM call";

    // A column of an attendee's is the attendee's.
    sql(
        "ALTER TABLE call ADD COLUMN note text, ALTER COLUMN payload TYPE varchar(300); UPDATE call SET note = 'mine ' || id",
    );
    let before = sql(all);
    it.provision().exit(0).says("Mend the tables");
    it.doctor().ready();
    assert_eq!(sql(all), before);

    // A type that the rows could not keep.
    sql("ALTER TABLE call ALTER COLUMN id DROP DEFAULT, ALTER COLUMN id TYPE text");
    let before = sql(all);
    it.provision()
        .exit(1)
        .says("the column call.id is of type text, not integer")
        .says("could lose what is in the rows");
    assert_eq!(sql(all), before);
    sql("ALTER TABLE call ALTER COLUMN id TYPE integer USING id::integer");

    // Rows that the declaration does not allow: nothing of the change is made, and they are told.
    sql(
        "ALTER TABLE call ALTER COLUMN created_at DROP NOT NULL; UPDATE call SET created_at = NULL WHERE id = 1",
    );
    let before = sql(all);
    it.provision().exit(1).says("created_at").says("null");
    assert_eq!(sql(all), before);
    sql("UPDATE call SET created_at = now() WHERE created_at IS NULL");
    let before = sql(all);
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(sql(all), before);
    sql("ALTER TABLE call DROP COLUMN note");
}

/// One makes the changes, the other waits for it, and finds nothing left to do.
fn two_at_once(it: &Workbox) {
    in_box(
        it,
        "gpasswd -d vagrant docker; rm /home/vagrant/docker-workshop/*.sql; echo '# mine' >>/home/vagrant/docker-workshop/server.py
         systemctl stop docker-workshop docker.socket docker",
    );
    let command = [
        "provision",
        "--yes",
        "--wait-lock",
        "5m",
        "--target",
        "sandbox",
    ];
    let (one, other) = (it.start(&command), it.start(&command));
    let (one, other) = (one.wait(), other.wait());
    let did = |words: &str| {
        let said = |ran: &crate::running::Ran| u32::from(ran.exit(0).out.contains(words));
        said(&one) + said(&other)
    };
    assert_eq!((did("changes made"), did("Nothing to do")), (1, 1));
    it.doctor().ready();
    assert_eq!(it.run("ls docker-workshop/server.py.orig-* | wc -l"), "1");
    assert_eq!(
        it.run("tail -n 1 docker-workshop/server.py.orig-*"),
        "# mine"
    );
}

/// Runs a script in the box as root.
fn in_box(it: &Workbox, script: &str) {
    it.run(&format!("sudo sh -euc {} 2>&1", quote::sh(script)));
}
