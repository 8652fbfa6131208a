//! A disk in memory that fails when it is told to, is full when it is told to, and knows what outlives a crash.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_buffer::Buffer;
use parking_lot::Mutex;

use super::fs::{File, Fs};

/// A change of a file that is not synced.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// As whoever reads it sees it.
    seen: Vec<u8>,
    /// As it was synced last.
    synced: Vec<u8>,
    changes: Vec<Change>,
    /// How often it is open.
    open: usize,
}

fn apply(bytes: &mut Vec<u8>, change: &Change, most: usize) {
    match change {
        Change::Write(at, new) => {
            let (at, new) = (*at as usize, &new[..most.min(new.len())]);
            if bytes.len() < at + new.len() {
                bytes.resize(at + new.len(), 0);
            }
            bytes[at..at + new.len()].copy_from_slice(new);
        }
        Change::Truncate(length) => bytes.resize(*length as usize, 0),
    }
}

#[derive(Debug, Default)]
struct Inside {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    /// What each folder's names were when it was synced last.
    synced_names: BTreeMap<PathBuf, usize>,
    locks: BTreeSet<PathBuf>,
    /// Bytes and calls until one fails.
    fuel: Option<u64>,
    /// Whether everything fails after that.
    dies: bool,
    dead: bool,
    /// Bytes that all files may have together, those included that are open and have no name any more.
    room: Option<u64>,
    changes: u64,
    /// The number of the error by which files are not given out, and how often that happened.
    refuses: Option<i32>,
    refusals: u64,
}

impl Inside {
    fn give_out(&mut self) -> io::Result<()> {
        let Some(number) = self.refuses else { return Ok(()) };
        self.refusals += 1;
        Err(io::Error::from_raw_os_error(number))
    }

    /// Whether a call that costs so much goes through; for a write that does not, how many bytes of it do.
    fn spend(&mut self, cost: u64) -> Result<(), u64> {
        if self.dead {
            return Err(0);
        }
        self.changes += cost;
        let Some(fuel) = &mut self.fuel else { return Ok(()) };
        if *fuel >= cost {
            *fuel -= cost;
            return Ok(());
        }
        let left = *fuel;
        self.fuel = None;
        self.dead = self.dies;
        Err(left)
    }

    fn call(&mut self) -> io::Result<()> {
        self.spend(1).map_err(|_| broken())
    }

    /// Bytes of all files that are there.
    fn used(&self) -> u64 {
        let named: BTreeSet<usize> = self.names.values().copied().collect();
        let is_there = |(number, inode): &(usize, &Inode)| inode.open > 0 || named.contains(number);
        self.inodes.iter().enumerate().filter(is_there).map(|(_, inode)| inode.seen.len() as u64).sum()
    }
}

fn broken() -> io::Error {
    io::Error::other("the disk is broken")
}

/// See the text of the module. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Faulty(Arc<Mutex<Inside>>);

impl Faulty {
    /// Lets one call fail after so many bytes and calls, and all after it where the process `dies`.
    pub fn fail_after(&self, fuel: u64, dies: bool) {
        let mut inside = self.0.lock();
        (inside.fuel, inside.dies) = (Some(fuel), dies);
    }

    /// Lets all files have so many bytes together.
    pub fn set_room(&self, room: Option<u64>) {
        self.0.lock().room = room;
    }

    /// Gives out no file from now on, by an error of this number.
    pub fn refuse(&self, number: Option<i32>) {
        self.0.lock().refuses = number;
    }

    /// How often a file was not given out.
    pub fn refusals(&self) -> u64 {
        self.0.lock().refusals
    }

    /// The bytes and calls that changed something so far.
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// The process is killed: what it wrote is there, and its locks are not.
    pub fn kill(&self) {
        let mut inside = self.0.lock();
        (inside.dead, inside.fuel) = (false, None);
        inside.locks.clear();
    }

    /// The machine crashes: of what was not synced `survives` says how much of each change is there, in 1/256.
    pub fn crash(&self, mut survives: impl FnMut() -> u8) {
        self.kill();
        let mut inside = self.0.lock();
        for inode in &mut inside.inodes {
            let changes = std::mem::take(&mut inode.changes);
            let mut bytes = std::mem::take(&mut inode.synced);
            for change in &changes {
                let share = usize::from(survives());
                let most = match change {
                    Change::Write(_, new) => new.len() * share / 255,
                    Change::Truncate(_) if share < 128 => continue,
                    Change::Truncate(_) => 0,
                };
                apply(&mut bytes, change, most);
            }
            (inode.seen, inode.synced) = (bytes.clone(), bytes);
        }
        if survives() < 128 {
            inside.names = inside.synced_names.clone();
        } else {
            inside.synced_names = inside.names.clone();
        }
    }

    /// The bytes of a file, to be changed.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inside = self.0.lock();
        let inode = inside.names[path];
        let inode = &mut inside.inodes[inode];
        change(&mut inode.seen);
        inode.synced = inode.seen.clone();
        inode.changes.clear();
    }

    /// Somebody removes all files; those that are open stay for who has them.
    pub fn sweep_away(&self) {
        let mut inside = self.0.lock();
        inside.names.clear();
        inside.synced_names.clear();
    }

    /// All files with their bytes.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let inside = self.0.lock();
        inside.names.iter().map(|(path, inode)| (path.clone(), inside.inodes[*inode].seen.clone())).collect()
    }

    /// A disk with the same files.
    pub fn copy(&self) -> Faulty {
        let copy = Faulty::default();
        for (path, bytes) in self.files() {
            let mut inside = copy.0.lock();
            let number = inside.inodes.len();
            inside.names.insert(path.clone(), number);
            inside.synced_names.insert(path, number);
            inside.inodes.push(Inode { seen: bytes.clone(), synced: bytes, ..Inode::default() });
        }
        copy
    }
}

struct Lock(Faulty, PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.lock().locks.remove(&self.1);
    }
}

impl Fs for Faulty {
    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send>> {
        if !self.0.lock().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock(self.clone(), path.to_owned())))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inside = self.0.lock();
        let below = inside.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(below.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut inside = self.0.lock();
        inside.call()?;
        let number = match inside.names.get(path) {
            Some(number) => {
                let number = *number;
                inside.inodes[number].seen.clear();
                inside.inodes[number].changes.push(Change::Truncate(0));
                number
            }
            None => {
                inside.inodes.push(Inode::default());
                inside.inodes.len() - 1
            }
        };
        inside.names.insert(path.to_owned(), number);
        inside.inodes[number].open += 1;
        Ok(Box::new(Open(self.clone(), number)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut inside = self.0.lock();
        let number = *inside.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        inside.give_out()?;
        inside.inodes[number].open += 1;
        Ok(Box::new(Open(self.clone(), number)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inside = self.0.lock();
        inside.call()?;
        let number = inside.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inside.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inside = self.0.lock();
        inside.call()?;
        inside.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut inside = self.0.lock();
        inside.call()?;
        inside.synced_names = inside.names.clone();
        Ok(())
    }
}

struct Open(Faulty, usize);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.lock().inodes[self.1].open -= 1;
    }
}

impl File for Open {
    fn is_at(&self, path: &Path) -> bool {
        self.0.0.lock().names.get(path) == Some(&self.1)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().inodes[self.1].seen.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let mut inside = self.0.0.lock();
        inside.give_out()?;
        let seen = inside.inodes[self.1].seen.get(at as usize..at as usize + bytes.len());
        bytes.copy_from_slice(seen.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, parts: &[Buffer], at: u64) -> io::Result<()> {
        let mut inside = self.0.0.lock();
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.as_slice()).copied().collect();
        let used = inside.used();
        let grows = (at + bytes.len() as u64).saturating_sub(inside.inodes[self.1].seen.len() as u64);
        let spent = inside.spend(bytes.len() as u64);
        let over = inside.room.map_or(0, |room| (used + grows).saturating_sub(room)) as usize;
        let failed = match spent {
            Err(left) => {
                bytes.truncate(left as usize);
                Some(broken())
            }
            Ok(()) if over > 0 => {
                bytes.truncate(bytes.len().saturating_sub(over));
                Some(io::Error::from(io::ErrorKind::StorageFull))
            }
            Ok(()) => None,
        };
        let inode = &mut inside.inodes[self.1];
        let change = Change::Write(at, bytes);
        apply(&mut inode.seen, &change, usize::MAX);
        inode.changes.push(change);
        failed.map_or(Ok(()), Err)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut inside = self.0.0.lock();
        inside.call()?;
        let inode = &mut inside.inodes[self.1];
        apply(&mut inode.seen, &Change::Truncate(length), 0);
        inode.changes.push(Change::Truncate(length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inside = self.0.0.lock();
        inside.call()?;
        let inode = &mut inside.inodes[self.1];
        inode.synced = inode.seen.clone();
        inode.changes.clear();
        Ok(())
    }
}
