//! The server's files and its unit, and a password that is a secret.

use dwenv::target::sandbox::Suite;

use crate::workbox::Workbox;

/// Stands for a secret; nothing may ever show it.
const CANARY: &str = "canary-of-the-workshop's-$(secret)";

#[test]
fn files_that_somebody_edited_are_put_right_and_kept() {
    let it = Workbox::provisioned(Suite::Trixie);
    let rows = it.post("A row of an attendee");

    // An attendee's own server, which even runs.
    let edited = "import http.server\nhttp.server.test(port=8080)  # mine\n";
    let write = format!("cat > docker-workshop/server.py <<'END'\n{edited}END");
    it.run(&write);
    it.run("sudo systemctl restart docker-workshop");
    let seen = it.doctor();
    seen.fails("box.server.files");
    assert_eq!(
        seen.check("box.server.files").summary,
        "Differs from the declared one: /home/vagrant/docker-workshop/server.py"
    );
    it.dwenv(&["provision", "--plan", "--diff"])
        .exit(0)
        .says("-http.server.test(port=8080) # mine")
        .says("+PORT = 8080");
    let mended = it.provision();
    let kept = it.run("ls docker-workshop/server.py.orig-*");
    mended
        .exit(0)
        .says(&format!("it is kept as /home/vagrant/{kept}"));
    assert_eq!(it.run(&format!("cat {kept}")), edited.trim_end());
    it.doctor().ready();
    assert_eq!(it.rows(), rows);

    // The same again, from the file that was kept: both are.
    it.run("cp docker-workshop/server.py.orig-* docker-workshop/server.py; echo >> docker-workshop/server.py");
    it.run("echo '# mine too' >> docker-workshop/compose.yaml");
    it.doctor().fails("box.server.files").says("compose.yaml");
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(it.run("ls docker-workshop/*.orig-* | wc -l"), "3");

    // What is dwenv's own is replaced without a copy, and an unchanged box is not written to.
    it.run("rm docker-workshop/server.py docker-workshop/create_db.sql");
    let seen = it.doctor();
    seen.fails("box.server.files");
    seen.says("Missing, in /home/vagrant/docker-workshop: server.py, create_db.sql");
    it.provision().exit(0).never_says("kept as");
    it.doctor().ready();
    it.run("rm -r docker-workshop");
    it.doctor().fails("box.server.files");
    it.provision().exit(0);
    it.doctor().ready();
    it.run("sudo chown root docker-workshop/server.py");
    it.doctor()
        .fails("box.server.files")
        .says("Belongs to root, not to vagrant");
    it.provision().exit(0).never_says("kept as");
    it.doctor().ready();

    // The unit: edited, with a drop-in of dwenv's changed, and with a stale process.
    let unit = "/etc/systemd/system/docker-workshop.service";
    it.run(&format!(
        "sudo sed -i s/server.py/mine.py/ {unit} && sudo systemctl daemon-reload"
    ));
    it.doctor().fails("box.server.unit").says(unit);
    it.provision()
        .exit(0)
        .says(&format!("it is kept as {unit}.orig-"));
    it.doctor().ready();
    it.run(&format!(
        "sudo rm {unit}.d/dwenv.conf && sudo systemctl daemon-reload"
    ));
    it.doctor().fails("box.server.unit").says("dwenv.conf");
    it.provision().exit(0);
    it.doctor().ready();

    // Among dwenv's lines of a file that is somebody's own; what stands outside them stays there.
    let rules = it.run("echo /etc/postgresql/*/main/pg_hba.conf");
    it.run(&format!(
        "sudo sed -i '/^# dwenv: begin/,/^# dwenv: end/s/samenet .*/samenet reject # not yet/; $a # mine' {rules}; sudo systemctl reload 'postgresql@*'"
    ));
    it.doctor().fails("box.postgres.rules");
    it.provision()
        .exit(0)
        .says(&format!("it is kept as {rules}.orig-"));
    it.doctor().ready();
    assert_eq!(
        it.run(&format!("sudo grep -c 'reject # not yet' {rules}.orig-*")),
        "1"
    );
    assert_eq!(it.run(&format!("sudo tail -n 1 {rules}")), "# mine");
    it.run(&format!(
        "sudo sed -i '/^# dwenv: begin/,/^# dwenv: end/d' {rules}; sudo systemctl reload 'postgresql@*'"
    ));
    it.doctor().fails("box.postgres.rules");
    it.provision().exit(0).never_says("kept as");
    it.doctor().ready();

    it.run("sudo touch -d '+2 seconds' docker-workshop/server.py");
    it.doctor()
        .fails("box.server.unit")
        .says("still runs what its files were before");
    it.run("sudo touch docker-workshop/server.py");
    assert_eq!(it.rows(), rows);
}

#[test]
fn a_secret_password_is_nowhere_but_where_it_has_to_be() {
    let mut it = Workbox::stocked(Suite::Trixie);
    it.declare("[postgres]\npassword = { env = \"DWENV_TEST_PASSWORD\" }\n");
    it.dwenv(&["doctor", "--target", "sandbox"])
        .exit(2)
        .says("DWENV_TEST_PASSWORD");
    it.variable("DWENV_TEST_PASSWORD", CANARY);

    // Every command line and environment of the box, as long as the test runs.
    it.run(
        "sudo touch /dev/shm/seen; \
         sudo systemd-run -q --unit=spy sh -c 'while :; do cat /proc/[0-9]*/cmdline \
         /proc/[0-9]*/environ | tr \"\\0\" \"\\n\" | sort -u - /dev/shm/seen > /dev/shm/next; \
         mv /dev/shm/next /dev/shm/seen; sleep 0.05; done' 2>&1",
    );
    let plan = it.dwenv(&["provision", "--plan", "--diff", "--target", "sandbox"]);
    let up = it.dwenv(&["up", "-v", "--yes", "--target", "sandbox"]);
    let no_op = it.dwenv(&["provision", "-v", "--diff"]);
    let doctor = it.doctor();
    it.dwenv(&[
        "doctor",
        "--deep",
        "--save",
        "facts.json",
        "--target",
        "sandbox",
    ])
    .exit(0);
    let saved = std::fs::read_to_string(it.folder().join("facts.json")).expect("what was saved");
    assert!(
        saved.contains("server_python") && !saved.contains(CANARY),
        "{saved}"
    );
    for ran in [plan.exit(0), up.exit(0), no_op.exit(0), doctor.ready()] {
        ran.never_says("canary");
    }
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
    assert_eq!(it.post("With a secret").len(), 2);

    assert_eq!(
        it.run("sudo systemctl stop spy; systemctl is-active spy || true"),
        "inactive"
    );

    // In the box: one file, for root alone.
    let file = "/etc/dwenv/postgres-password";
    assert_eq!(it.run(&format!("sudo cat {file}")), CANARY);
    assert_eq!(it.run(&format!("sudo stat -c '%a %U' {file}")), "600 root");
    // The pattern is no part of its own command line.
    let search = "printf %s can ary-of-the-workshop | sudo grep -rlFs -f - --devices=skip \
                  --exclude-dir=proc --exclude-dir=sys --exclude-dir=credentials /";
    assert_eq!(it.run(search), file);
    assert_eq!(
        it.run("sudo journalctl -q | grep -c '[c]anary' || true"),
        "0"
    );
    assert_eq!(
        it.run("sudo wc -l /dev/shm/seen | awk '{print ($1 > 50)}'"),
        "1"
    );
    // On this computer: nowhere in what dwenv keeps.
    let kept = crate::support::run(
        "sh",
        &[
            "-c",
            "grep -rlF canary \"$1/project\" \"$1/home\" || true",
            "sh",
            &it.lab().folder().display().to_string(),
        ],
    );
    assert_eq!(kept, "");

    // A new secret reaches both the role and the server.
    it.variable("DWENV_TEST_PASSWORD", "canary-the-second");
    it.doctor()
        .fails("box.postgres.password")
        .never_says("canary");
    it.provision().exit(0).never_says("canary");
    it.doctor().ready();
    assert_eq!(it.rows().len(), 2);
    // A file that is gone, and a declaration that is public again.
    it.run(&format!("sudo rm {file}"));
    it.doctor()
        .fails("box.server.unit")
        .says("The declared password");
    it.provision().exit(0).never_says("canary");
    it.doctor().ready();
    it.declare("");
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(it.rows().len(), 2);
}
