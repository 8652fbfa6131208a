use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::admin::StatusBoard;

const CONFIG: &str = "
data_dir: DATA
admin: { enabled: false }
sources: { in: { type: generator, format: nginx, count: 10 } }
outputs: { out: { type: blackhole } }
pipelines: { main: { from: [in], to: [out] } }
";

#[tokio::test]
async fn outputs_that_were_made_and_never_came_into_force_have_ended_when_all_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flitch.yaml");
    let config = |text: &str| {
        std::fs::write(&path, text.replace("DATA", &folder.path().join("data").display().to_string()))
            .unwrap();
        config::load(&path).unwrap().config
    };
    let app = App::start(config(CONFIG), folder.path(), Arc::<StatusBoard>::default()).await.unwrap();
    let next = config(&CONFIG.replace("blackhole }", "file, path: \"DATA/out.ndjson\" }"));
    let diff = Diff::between(&diff::Running { config: app.config.as_ref(), stale: BTreeSet::new() }, &next);
    let mut making = Making::begin(Made::nothing(app.filters.clone()), &app.given_up);
    app.make(&next, &diff, (Which::Changed, 0), making.made()).await.unwrap();
    let ended = making.made().outputs["out"].ended.clone();
    assert!(!ended.is_cancelled());
    drop(making);
    assert!(timeout(Duration::from_secs(60), app.drain(Duration::from_secs(60))).await.unwrap());
    assert!(ended.is_cancelled(), "a drain waits for it");
}
