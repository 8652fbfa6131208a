use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::app::history::Outcome;
use crate::app::no_filter;

const GOOD: &str = "
data_dir: DATA
admin: { enabled: false }
sources: { in: { type: generator, format: nginx, count: 10 } }
filters: { mark: { plugin: PLUGIN, settings: { remove: [gone] } } }
outputs: { out: { type: blackhole } }
pipelines: { main: { from: [in], filters: [mark], to: [out] } }
";

/// A daemon that runs, and the file that it was started with.
struct Bench {
    folder: tempfile::TempDir,
    control: Control,
    board: Arc<StatusBoard>,
    plugins: watch::Receiver<Vec<PathBuf>>,
    serving: JoinHandle<App>,
}

impl Bench {
    async fn start(plugin: &str) -> Bench {
        Bench::start_with(GOOD, plugin).await
    }

    async fn start_with(text: &str, plugin: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flitch.yaml");
        let board = Arc::new(StatusBoard::default());
        write(&folder, text, plugin);
        let loaded = config::load(&path).unwrap();
        let app = App::start(loaded.config, folder.path(), board.clone()).await.unwrap();
        let (control, requests) = Control::new();
        let (files, plugins) = watch::channel(Vec::new());
        let daemon = Daemon::new((path, None), app, board.clone(), (control.clone(), requests), files);
        Bench { folder, control, board, plugins, serving: flitch_core::tasks::joined(daemon.serve()) }
    }

    fn write(&self, text: &str, plugin: &str) {
        write(&self.folder, text, plugin);
    }

    async fn end(self) -> bool {
        self.control.end();
        self.serving.await.unwrap().drain(Duration::from_secs(60)).await
    }
}

fn write(folder: &tempfile::TempDir, text: &str, plugin: &str) {
    let data = folder.path().join("data").display().to_string();
    let text = text.replace("DATA", &data).replace("PLUGIN", plugin);
    std::fs::write(folder.path().join("flitch.yaml"), text).unwrap();
}

/// The code of a stock plugin as a file.
fn plugin_file(folder: &std::path::Path, name: &str) -> PathBuf {
    let path = folder.join("mine.wasm");
    std::fs::write(&path, crate::STOCK.component(name).unwrap()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_answered_when_it_is_in_force() {
    let bench = Bench::start("set").await;
    assert_eq!(bench.board.read().generation, 1);
    bench.write(&GOOD.replace("to: [out]", "to: [out], workers: 1"), "set");
    assert_eq!(bench.control.ask(Command::Reload).await, Ok(Applied::default()));
    assert_eq!(bench.board.read().pipelines["main"].workers, 1);
    assert_eq!(bench.board.read().generation, 2);
    assert!(bench.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_is_refused_says_why_to_who_asked_and_on_the_board() {
    let bench = Bench::start("set").await;
    for (wrong, says) in [
        (GOOD.replace("count: 10", "cuont: 10"), "cuont"),
        (GOOD.replace("remove: [gone]", "remve: [gone]"), "filters.mark"),
        (GOOD.replace("from: [in]", "from: [inn]"), "inn"),
    ] {
        bench.write(&wrong, "set");
        let Err(Refused::Config { report, line }) = bench.control.ask(Command::Reload).await else {
            panic!()
        };
        assert!(line.contains(says) && report.contains("flitch.yaml"), "{line}\n{report}");
        let status = bench.board.read();
        assert_eq!((status.generation, status.last_reload_error), (1, Some(line)));
    }
    assert!(bench.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_broke_is_kept_and_told_of_and_a_good_one_is_taken() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = plugin_file(elsewhere.path(), "set");
    let bench = Bench::start(&file.display().to_string()).await;
    assert_eq!(*bench.plugins.borrow(), std::slice::from_ref(&file));
    std::fs::write(&file, b"no component").unwrap();
    let Ok(Applied { kept, .. }) = bench.control.ask(Command::Refresh([file.clone()].into())).await else {
        panic!()
    };
    assert_eq!(kept[0].filter, "mark", "{kept:?}");
    assert!(bench.board.read().last_reload_error.unwrap().contains("filters.mark"));
    plugin_file(elsewhere.path(), "set");
    assert_eq!(bench.control.ask(Command::Refresh([file].into())).await, Ok(Applied::default()));
    assert!(bench.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_swap_hears_what_came_of_it_and_the_history_keeps_it() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = plugin_file(elsewhere.path(), "set");
    let bench = Bench::start(&file.display().to_string()).await;
    let swap = |name: &str| bench.control.ask(Command::Swap(name.to_owned()));
    let Err(Refused::Unknown { name, known }) = swap("marc").await else { panic!() };
    assert_eq!(Refused::Unknown { name, known }.to_string(), "there is no filter `marc`; there are mark");
    assert_eq!(no_filter("marc", &[""; 0]), "there is no filter `marc`, nor any other");
    assert_eq!(swap("mark").await, Ok(Applied::default()), "the file holds what runs");
    std::fs::write(&file, b"no component").unwrap();
    let Ok(Applied { changed, kept }) = swap("mark").await else { panic!() };
    assert!(changed.is_empty() && kept[0].filter == "mark", "{kept:?}");
    // Other code that takes the same settings.
    let mut other = crate::STOCK.component("set").unwrap();
    other.extend_from_slice(b"\0\x03\x02ab");
    std::fs::write(&file, &other).unwrap();
    let Ok(Applied { changed, kept }) = swap("mark").await else { panic!() };
    assert_eq!((changed, kept), (vec![Arc::from("mark")], Vec::new()));
    let status = bench.board.read().filters;
    let entries = bench.board.history(Some("mark"));
    let told: Vec<_> = entries.iter().map(|entry| (entry.by, entry.result)).collect();
    assert_eq!(
        told,
        [(By::Start, Outcome::InForce), (By::Api, Outcome::Failed), (By::Api, Outcome::InForce)]
    );
    assert_eq!(entries[2].to.as_deref(), Some(&*status["mark"].sha256));
    assert_eq!((&entries[2].from, Some(&entries[2].time)), (&entries[0].to, status["mark"].since.as_ref()));
    assert!(bench.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_takes_up_the_filter_that_is_named_and_no_other_whose_name_begins_alike() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = |name: &str| elsewhere.path().join(name);
    let set = crate::STOCK.component("set").unwrap();
    let names = ["mark", "mark-more"];
    let filters: Vec<String> = names
        .iter()
        .map(|name| {
            std::fs::write(file(name), &set).unwrap();
            let path = file(name);
            format!("{name}: {{ plugin: \"{}\", settings: {{ remove: [gone] }} }}", path.display())
        })
        .collect();
    let config = GOOD
        .replace("mark: { plugin: PLUGIN, settings: { remove: [gone] } }", &filters.join(", "))
        .replace("filters: [mark]", "filters: [mark, mark-more]");
    let bench = Bench::start_with(&config, "set").await;
    let mut other = set.clone();
    other.extend_from_slice(b"\0\x03\x02ab");
    std::fs::write(file("mark"), &other).unwrap();
    std::fs::write(file("mark-more"), b"no component").unwrap();
    let Ok(Applied { changed, kept }) = bench.control.ask(Command::Swap("mark".to_owned())).await else {
        panic!()
    };
    assert_eq!((changed, kept), (vec![Arc::from("mark")], Vec::new()));
    let told = |name: &str| bench.board.history(Some(name)).into_iter().map(|e| e.result).collect::<Vec<_>>();
    assert_eq!(told("mark-more"), [Outcome::InForce], "nobody asked for it");
    let Ok(Applied { kept, .. }) = bench.control.ask(Command::Refresh([file("mark-more")].into())).await
    else {
        panic!()
    };
    assert_eq!(kept[0].filter, "mark-more");
    assert_eq!(told("mark-more"), [Outcome::InForce, Outcome::Failed]);
    assert_eq!(told("mark"), [Outcome::InForce, Outcome::InForce]);
    assert!(bench.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_wait_when_the_daemon_ends_are_answered() {
    let bench = Bench::start("set").await;
    let asked: Vec<_> = (0..40)
        .map(|_| {
            let control = bench.control.clone();
            flitch_core::tasks::joined(async move { control.ask(Command::Reload).await })
        })
        .collect();
    let control = bench.control.clone();
    assert!(bench.end().await);
    for answer in asked {
        assert!(matches!(answer.await.unwrap(), Ok(_) | Err(Refused::Ending)));
    }
    assert_eq!(control.ask(Command::Reload).await, Err(Refused::Ending));
}
