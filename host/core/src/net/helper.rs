//! Programs that give out credentials: `az`, and what an AWS profile names by `credential_process`. What they print is secret,
//! so that nothing of it is told; how long they may take is bounded.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Signal, kill_process_group};

use crate::children::Begun;
use crate::tasks;

/// How often it is looked whether a program has ended that prints nothing more.
const LOOK: Duration = Duration::from_millis(5);
/// Most bytes of what a program prints.
const MOST: u64 = 64 << 10;

/// What a program prints, called `name` in errors. Blocks until it has ended, and ends it, with all that it has started, after
/// `patience`.
///
/// # Errors
/// It cannot be run, fails (with the first line of what it said on stderr), or takes too long.
pub fn ask(name: &str, mut command: Command, patience: Duration) -> anyhow::Result<Vec<u8>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut begun = Begun::new(&mut command).with_context(|| format!("{name} cannot be run"))?;
    let (printed, said) = (begun.child.stdout.take(), begun.child.stderr.take());
    let (sender, ended) = std::sync::mpsc::sync_channel(2);
    let reads = [printed.map(|pipe| reader(pipe, 0, &sender)), said.map(|pipe| reader(pipe, 1, &sender))];
    let mut texts = [Vec::new(), Vec::new()];
    let mut failure = reads.into_iter().flatten().find_map(Result::err);
    let until = Instant::now() + patience;
    for _ in 0..2 {
        if failure.is_some() {
            break;
        }
        match ended.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((place, Ok(text))) => texts[place] = text,
            Ok((_, Err(error))) => failure = Some(error),
            Err(_) => failure = Some(std::io::ErrorKind::TimedOut.into()),
        }
    }
    // One that has closed both may go on all the same.
    let mut status = None;
    while failure.is_none() && status.is_none() {
        match begun.ended() {
            Ok(None) if Instant::now() >= until => failure = Some(std::io::ErrorKind::TimedOut.into()),
            Ok(None) => pause(),
            Ok(ended) => status = ended,
            Err(error) => failure = Some(error),
        }
    }
    if let Some(failure) = failure {
        // It may have ended in this moment.
        let _ = kill_process_group(begun.pid, Signal::KILL);
        while let Ok(None) = begun.ended() {
            pause();
        }
        return Err(match failure.kind() {
            std::io::ErrorKind::TimedOut => anyhow::anyhow!("{name} has not ended after {patience:?}"),
            _ => anyhow::Error::new(failure).context(format!("{name} cannot be read")),
        });
    }
    let status = status.with_context(|| name.to_owned())?;
    let [printed, said] = texts;
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        anyhow::bail!("{name}: {status}: {}", said.lines().next().unwrap_or_default());
    }
    Ok(printed)
}

fn pause() {
    let _ = crossbeam_channel::after(LOOK).recv();
}

type Sender = std::sync::mpsc::SyncSender<(usize, std::io::Result<Vec<u8>>)>;

/// Reads a pipe to its end, on a thread that ends with it.
fn reader(pipe: impl Read + Send + 'static, place: usize, to: &Sender) -> std::io::Result<()> {
    let to = to.clone();
    let read = move || {
        let mut text = Vec::new();
        let read = pipe.take(MOST + 1).read_to_end(&mut text);
        let read = match text.len() as u64 > MOST {
            true => Err(std::io::Error::other(format!("it prints more than {MOST} bytes"))),
            false => read.map(|_| text),
        };
        let _ = to.send((place, read));
    };
    tasks::joined_thread("helper", read).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, patience: Duration) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        let printed = ask("`it`", command, patience).map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8(printed).unwrap())
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_prints_is_its_answer_and_what_it_says_beside_that_is_none() {
        assert_eq!(shell("echo warning >&2; echo token", PATIENCE).unwrap(), "token\n");
    }

    #[test]
    fn one_that_fails_is_told_by_its_first_line_without_what_it_printed() {
        let error =
            shell("echo secret; echo not logged in >&2; echo more >&2; exit 3", PATIENCE).unwrap_err();
        assert_eq!(error, "`it`: exit status: 3: not logged in");
        assert!(ask("`it`", Command::new("/nowhere/it"), PATIENCE).is_err());
    }

    #[test]
    fn one_that_does_not_end_is_ended_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let text = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let error = shell(&text, Duration::from_millis(500)).unwrap_err();
        assert!(error.starts_with("`it` has not ended"), "{error}");
        let pid = std::fs::read_to_string(&file).unwrap();
        let state = format!("/proc/{}/stat", pid.trim());
        let is_gone = || std::fs::read_to_string(&state).map_or(true, |stat| stat.contains(") Z "));
        flitch_tests::wait::eventually("it is ended", PATIENCE, is_gone);
    }

    #[test]
    fn one_that_says_nothing_more_and_does_not_end_is_ended() {
        let error = shell("exec >&- 2>&-; exec sleep 1000", Duration::from_millis(500)).unwrap_err();
        assert!(error.starts_with("`it` has not ended"), "{error}");
    }

    #[test]
    fn one_that_prints_without_end_is_ended() {
        let error = shell("yes", PATIENCE).unwrap_err();
        assert!(error.contains("more than 65536 bytes"), "{error}");
    }
}
