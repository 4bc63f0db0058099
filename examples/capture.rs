use dwenv::{
    events::Events,
    facts::{Record, Records, collect},
    resources, target,
    transport::session::{self, NoPassphrase},
    workshop::Workshop,
};
use std::sync::Arc;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let w = Workshop::builtin().unwrap();
    let t: target::Target = std::env::args().nth(1).unwrap().parse().unwrap();
    let l = target::locate(&t, &w, std::path::Path::new("."), None, &Events::nowhere())
        .await
        .unwrap();
    let s = session::connect(&l.endpoint, &Events::nowhere(), Arc::new(NoPassphrase))
        .await
        .unwrap();
    let mut r: Records = collect::over(Arc::new(s), &resources::probes(&w), &l.reach).await;
    r.insert("ssh", Record::done(""));
    println!("{}", serde_json::to_string_pretty(&r).unwrap());
}
