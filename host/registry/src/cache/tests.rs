use super::*;

fn cache(max_bytes: u64) -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("registry"), max_bytes);
    (folder, cache)
}

#[test]
fn content_that_is_another_than_its_digest_is_none() {
    let (_folder, cache) = cache(1000);
    let digest = cache.write(b"wasm").unwrap();
    assert_eq!(cache.read(&digest, 4).unwrap().unwrap(), b"wasm");
    fs::write(cache.blob(&digest), b"evil").unwrap();
    assert_eq!(cache.read(&digest, 4).unwrap(), None);
    assert!(!cache.blob(&digest).exists(), "it is not read again");
    let digest = cache.write(b"wasm and more").unwrap();
    assert_eq!(cache.read(&digest, 4).unwrap(), None, "nothing is read that is larger than it may be");
    assert!(
        cache.read(&digest, 13).unwrap().is_some(),
        "and it stays: what is said of its size is no word against it"
    );
}

#[test]
fn what_was_used_longest_ago_makes_room_and_what_is_in_use_stays() {
    let (folder, before) = cache(1000);
    let old: Vec<Digest> = [b"a", b"b"].iter().map(|name| before.write(&name.repeat(40)).unwrap()).collect();
    let long_ago = |digest: &Digest, seconds: u64| {
        let file = File::options().write(true).open(before.blob(digest)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    };
    long_ago(&old[0], 2);
    long_ago(&old[1], 1);
    let cache = Cache::new(folder.path().join("registry"), 100);
    cache.read(&old[1], 40).unwrap().unwrap();
    long_ago(&old[1], 1);
    let new = cache.write(&b"c".repeat(40)).unwrap();
    let is_there = |digest: &Digest| cache.blob(digest).exists();
    assert!(!is_there(&old[0]) && is_there(&old[1]) && is_there(&new));
}

#[test]
fn what_another_process_writes_now_makes_no_room_and_what_a_crash_has_left_does() {
    let (folder, cache) = cache(100);
    cache.write(&b"a".repeat(40)).unwrap();
    let blobs = folder.path().join("registry").join(BLOBS);
    let [writing, left] = [".7.0.new", ".8.0.new"].map(|name| blobs.join(name));
    fs::write(&writing, b"b".repeat(40)).unwrap();
    fs::write(&left, b"c".repeat(40)).unwrap();
    let long_ago = SystemTime::now() - 2 * WRITING;
    File::options().write(true).open(&left).unwrap().set_modified(long_ago).unwrap();
    cache.write(&b"d".repeat(40)).unwrap();
    assert!(writing.exists() && !left.exists());
}

#[test]
fn tags_and_signatures_outlive_the_process() {
    let (folder, cache) = cache(1000);
    let reference = |text: &str| Reference::parse(text, Path::new("")).unwrap();
    let (one, other) = (reference("oci://r/a:1"), reference("oci://r/a:2"));
    let digest = Digest::of(b"x");
    assert_eq!(cache.tag(&one), None);
    cache.set_tag(&one, &digest).unwrap();
    let found = [Signature::Simple { payload: "p".to_owned(), signature: "s".to_owned() }];
    assert_eq!(cache.signatures(&digest), None);
    cache.set_signatures(&digest, &found).unwrap();
    let again = Cache::new(folder.path().join("registry"), 1000);
    assert_eq!((again.tag(&one), again.tag(&other)), (Some(digest.clone()), None));
    assert_eq!(again.signatures(&digest).unwrap(), found);
}

#[test]
fn what_is_another_users_is_told_with_what_to_do() {
    let (folder, cache) = cache(1000);
    let error = cache.failed(&io::Error::from(io::ErrorKind::PermissionDenied)).to_string();
    assert!(error.contains(&*folder.path().to_string_lossy()) && error.contains("`chown -R` it"), "{error}");
    assert!(!cache.is_closed(), "nothing is there yet");
    let full = cache.failed(&io::Error::from(io::ErrorKind::StorageFull)).to_string();
    assert!(full.contains("cannot be kept") && !full.contains("chown"), "{full}");
}
