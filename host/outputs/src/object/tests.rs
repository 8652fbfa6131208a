use std::io::Read;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;

use super::*;
use crate::contract::{Found, Specimen, Subject, block_on};

/// An output to a store in memory that builds below `home`.
fn output(
    store: &Arc<InMemory>,
    home: &TempDir,
    key: &str,
    compression: Compression,
    cx: &OutputContext,
) -> Arc<dyn Output> {
    let key = Template::parse(key).unwrap();
    let common = Common {
        key: &key,
        compression,
        max_bytes: default_max_bytes(),
        max_age: default_max_age(),
        max_idle: default_max_idle(),
        max_open: default_max_open(),
        max_staged: default_max_staged(),
        ack: Ack::default(),
    };
    let cx = OutputContext { state_dir: home.path().join("out"), ..cx.clone() };
    Arc::new(ObjectOutput::new(store.clone(), &common, Extras::default(), &cx).unwrap())
}

/// The names of all objects, in order.
fn names(store: &Arc<InMemory>) -> Vec<String> {
    let (mut names, mut folders) = (Vec::new(), vec![None]);
    while let Some(folder) = folders.pop() {
        let listed = block_on(store.list_with_delimiter(folder.as_ref())).unwrap();
        names.extend(listed.objects.into_iter().map(|meta| meta.location.to_string()));
        folders.extend(listed.common_prefixes.into_iter().map(Some));
    }
    names.sort();
    names
}

/// What is in an object.
fn content(store: &Arc<InMemory>, name: &str) -> Vec<u8> {
    let bytes = block_on(async { store.get(&Path::from(name)).await.unwrap().bytes().await.unwrap() });
    let mut text = Vec::new();
    match name.rsplit_once('.').unwrap().1 {
        "zst" => text = zstd::decode_all(&bytes[..]).unwrap(),
        "parquet" => text = crate::staging::read_table(&bytes).concat(),
        "gz" => drop(flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap()),
        _ => text = bytes.to_vec(),
    }
    text
}

fn subject(variant: usize, cx: &OutputContext) -> Subject {
    let compression = match (variant, cx.encoder.encoding().format) {
        (0, _) => Compression::Zstd,
        (1, _) => Compression::Gzip,
        (2, Format::Parquet) => Compression::Snappy,
        _ => Compression::None,
    };
    let (store, home) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let by_field = output(&store, &home, "c/{k}", compression, cx);
    let output = output(&store, &home, "a/b-", compression, cx);
    let header = cx.encoder.header().unwrap_or_default();
    let read = move || {
        let _keep = &home;
        let mut all = header.to_vec();
        for name in names(&store) {
            let text = content(&store, &name);
            all.extend_from_slice(text.strip_prefix(&header[..]).expect("an object begins with the header"));
        }
        Found::Stream(all)
    };
    Subject { output, read: Some(Box::new(read)), by_field: Some(by_field), cut: None }
}

impl Specimen for crate::s3::S3Settings {
    const VARIANTS: usize = 4;
    fn takes(_: Format) -> bool {
        true
    }

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        subject(variant, cx)
    }
}

impl Specimen for crate::azure_blob::AzureBlobSettings {
    fn takes(_: Format) -> bool {
        true
    }

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        subject(variant, cx)
    }
}

impl Specimen for crate::gcs::GcsSettings {
    fn takes(_: Format) -> bool {
        true
    }

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        subject(variant, cx)
    }
}

#[tokio::test]
async fn an_object_that_is_there_is_written_and_nothing_is_written_over_it() {
    use flitch_core::batch::{Batch, StreamId};
    use flitch_core::receipt;
    let (store, cx) = (Arc::new(InMemory::new()), crate::contract::context());
    let home = tempfile::tempdir().unwrap();
    for is_replay in [false, true] {
        let output = output(&store, &home, "a/", Compression::None, &cx);
        let mut yard = crate::staging::Yard::new(output.builds().unwrap()).unwrap();
        let receipt = receipt::issue(&Arc::default(), 10, 0, |_| {});
        let records = crate::contract::placed(0, 10);
        let now = tokio::time::Instant::now();
        yard.put(Batch { records, receipt, stream: StreamId::UNORDERED }, now);
        yard.close_all(now);
        let sealed = yard.pop().unwrap();
        output.send(&sealed.object).await.unwrap();
        if !is_replay {
            // Marked, so that it shows whether it is written again.
            let path = Path::from(sealed.object.name.as_str());
            store.put(&path, PutPayload::from_static(b"marked")).await.unwrap();
        }
        sealed.shares.into_iter().for_each(|share| share.delivered());
    }
    let names = names(&store);
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(content(&store, &names[0]), b"marked");
}
