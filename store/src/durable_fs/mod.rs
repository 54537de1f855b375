//! A local directory as an object store whose writes survive a power cut.
//!
//! `object_store`'s own `LocalFileSystem` (0.13) never calls fsync: after a power cut a committed Delta
//! log entry can be empty or torn, and a torn one makes the whole table unreadable. So every write here is
//! staged beside its destination, synced, given its name by one link or rename, and then the directory is
//! synced, each newly made parent included. Reads, listings and deletes are those of `LocalFileSystem`; so
//! are copies and renames, which the store does not make, but for the syncs around them.
//!
//! Limits: a delete is not synced (a file that comes back is unreferenced, hence harmless); the staging
//! suffix `#<number>` is the one that `LocalFileSystem` hides from listings, so no object may be named so.

mod place;

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use tokio::task::spawn_blocking;

use crate::disk::{Disk, DiskFile};
use place::{make_parents, place, refused, stage, sync_parent, write};
pub(crate) use place::{put, settle};

/// An object store over one local directory; see the module for what it promises.
#[derive(Clone)]
pub struct DurableFs {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    reads: LocalFileSystem,
}

impl DurableFs {
    /// Opens the directory `root` of the real file system, which must exist and be what `disk` writes to.
    ///
    /// # Errors
    /// When `root` cannot be resolved.
    pub fn open(root: &FsPath, disk: Arc<dyn Disk>) -> Result<Self> {
        let reads = LocalFileSystem::new_with_prefix(root)?;
        let root = fs::canonicalize(root).map_err(|error| refused("resolve", root, &error))?;
        Ok(DurableFs { root, disk, reads })
    }

    /// Settles what a killed process left in `dir` and below it: files that were never finished are
    /// removed (their number is returned), names that were given are made durable. Call it before
    /// anything reads or writes; it syncs every directory.
    ///
    /// # Errors
    /// When a directory cannot be read or synced or a file not removed; a missing `dir` is empty.
    pub fn settle(&self, dir: &Path) -> io::Result<usize> {
        settle(self.disk.as_ref(), &self.root.join(dir.as_ref()))
    }

    async fn put_staged(&self, location: &Path, payload: PutPayload, create: bool) -> Result<PutResult> {
        let (disk, destination) = (Arc::clone(&self.disk), self.reads.path_to_filesystem(location)?);
        spawn_blocking(move || put(disk.as_ref(), &destination, &payload, create)).await?
    }
}

impl fmt::Debug for DurableFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableFs").field("root", &self.root).finish_non_exhaustive()
    }
}

impl fmt::Display for DurableFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableFs({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableFs {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let create = match opts.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return Err(self.not_implemented("put_opts with PutMode::Update")),
        };
        if !opts.attributes.is_empty() {
            return Err(self.not_implemented("put_opts with attributes"));
        }
        self.put_staged(location, payload, create).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !opts.attributes.is_empty() {
            return Err(self.not_implemented("put_multipart_opts with attributes"));
        }
        let (disk, destination) = (Arc::clone(&self.disk), self.reads.path_to_filesystem(location)?);
        let upload = spawn_blocking(move || {
            let (file, staged) = stage(disk.as_ref(), &destination)?;
            let file = Arc::from(file);
            Ok::<_, Error>(DurableUpload { disk, file, staged, destination, offset: 0, open: true })
        })
        .await??;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reads.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.reads.delete_stream(locations)
    }

    /// In path order, which object stores give and the Delta log reader relies on.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = self.reads.list(prefix);
        stream::once(async move {
            let mut objects: Vec<ObjectMeta> = listing.try_collect().await?;
            objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
            Ok::<_, Error>(stream::iter(objects.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.reads.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (source, destination) =
            (self.reads.path_to_filesystem(from)?, self.reads.path_to_filesystem(to)?);
        self.prepare_move(source, destination.clone()).await?;
        self.reads.copy_opts(from, to, options).await?;
        let disk = Arc::clone(&self.disk);
        spawn_blocking(move || sync_parent(disk.as_ref(), &destination)).await?
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let (source, destination) =
            (self.reads.path_to_filesystem(from)?, self.reads.path_to_filesystem(to)?);
        self.prepare_move(source.clone(), destination.clone()).await?;
        self.reads.rename_opts(from, to, options).await?;
        let disk = Arc::clone(&self.disk);
        spawn_blocking(move || {
            sync_parent(disk.as_ref(), &destination)?;
            sync_parent(disk.as_ref(), &source)
        })
        .await?
    }
}

impl DurableFs {
    fn not_implemented(&self, operation: &str) -> Error {
        Error::NotImplemented { operation: operation.to_owned(), implementer: self.to_string() }
    }

    /// What a copy or rename needs first: a durable source and a durable directory to put it in.
    async fn prepare_move(&self, source: PathBuf, destination: PathBuf) -> Result<()> {
        let disk = Arc::clone(&self.disk);
        spawn_blocking(move || {
            make_parents(disk.as_ref(), &destination)?;
            let file = disk.open(&source).map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    Error::NotFound { path: source.display().to_string(), source: error.into() }
                }
                _ => refused("open", &source, &error),
            })?;
            file.sync_all().map_err(|error| refused("sync", &source, &error))
        })
        .await?
    }
}

/// A write in parts: each goes to its place in the staged file at once, [`MultipartUpload::complete`]
/// syncs and names it.
struct DurableUpload {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    staged: PathBuf,
    destination: PathBuf,
    /// Where the next part begins, bytes.
    offset: u64,
    /// Neither completed nor aborted yet.
    open: bool,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += data.content_length() as u64;
        let (file, staged) = (Arc::clone(&self.file), self.staged.clone());
        Box::pin(async move {
            spawn_blocking(move || {
                write(file.as_ref(), &data, offset).map_err(|error| refused("write", &staged, &error))
            })
            .await?
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (disk, file) = (Arc::clone(&self.disk), Arc::clone(&self.file));
        let (staged, destination) = (self.staged.clone(), self.destination.clone());
        let placed =
            spawn_blocking(move || place(disk.as_ref(), file.as_ref(), &staged, &destination, false))
                .await??;
        self.open = false;
        Ok(placed)
    }

    async fn abort(&mut self) -> Result<()> {
        self.open = false;
        self.disk.remove(&self.staged).map_err(|error| refused("remove", &self.staged, &error))
    }
}

impl Drop for DurableUpload {
    fn drop(&mut self) {
        if self.open {
            // Best effort: what stays is invisible and removed at the next start.
            let _ = self.disk.remove(&self.staged);
        }
    }
}

impl fmt::Debug for DurableUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableUpload").field("destination", &self.destination).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;

    use super::*;
    use crate::disk::StdDisk;

    fn open() -> (tempfile::TempDir, DurableFs) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = DurableFs::open(dir.path(), Arc::new(StdDisk)).expect("the directory exists");
        (dir, store)
    }

    async fn read(store: &DurableFs, path: &str) -> Vec<u8> {
        let result = store.get(&Path::from(path)).await.expect("object exists");
        result.bytes().await.expect("object is readable").to_vec()
    }

    async fn names(store: &DurableFs) -> Vec<String> {
        store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.expect("list")
    }

    fn create() -> PutOptions {
        PutOptions::from(PutMode::Create)
    }

    #[tokio::test]
    async fn the_second_create_conflicts_and_the_first_content_stays() {
        let (_dir, store) = open();
        let path = Path::from("a/b/one");
        store.put_opts(&path, "first".into(), create()).await.expect("the name is free");
        let error = store.put_opts(&path, "second".into(), create()).await.expect_err("the name is taken");
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
        assert_eq!(read(&store, "a/b/one").await, b"first");
        assert_eq!(names(&store).await, ["a/b/one"]);
    }

    #[tokio::test]
    async fn overwrite_replaces() {
        let (_dir, store) = open();
        store.put(&Path::from("x"), "1".into()).await.expect("put");
        store.put(&Path::from("x"), "22".into()).await.expect("put");
        assert_eq!(read(&store, "x").await, b"22");
    }

    #[tokio::test]
    async fn parts_written_out_of_order_join_in_order() {
        let (_dir, store) = open();
        let mut upload = store.put_multipart(&Path::from("d/parts")).await.expect("start");
        let (first, second) = (upload.put_part("abc".into()), upload.put_part("de".into()));
        second.await.expect("part");
        first.await.expect("part");
        assert!(names(&store).await.is_empty(), "nothing is visible before it is complete");
        upload.complete().await.expect("complete");
        assert_eq!(read(&store, "d/parts").await, b"abcde");
    }

    #[tokio::test]
    async fn an_aborted_or_dropped_upload_leaves_nothing() {
        let (dir, store) = open();
        let mut upload = store.put_multipart(&Path::from("gone")).await.expect("start");
        upload.abort().await.expect("abort");
        drop(store.put_multipart(&Path::from("gone")).await.expect("start"));
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);
    }

    #[tokio::test]
    async fn leftover_staged_files_are_hidden_then_removed() {
        let (dir, store) = open();
        store.put(&Path::from("t/kept"), "k".into()).await.expect("put");
        fs::write(dir.path().join("t/torn#7"), "half").expect("write");
        assert_eq!(names(&store).await, ["t/kept"]);
        assert_eq!(store.settle(&Path::from("t")).expect("remove"), 1);
        assert!(!dir.path().join("t/torn#7").exists());
        assert_eq!(store.settle(&Path::from("missing")).expect("nothing there"), 0);
    }

    #[tokio::test]
    async fn lists_are_in_path_order() {
        let (_dir, store) = open();
        for name in ["b/2", "a/9", "b/10", "c"] {
            store.put(&Path::from(name), "x".into()).await.expect("put");
        }
        assert_eq!(names(&store).await, ["a/9", "b/10", "b/2", "c"]);
    }

    #[tokio::test]
    async fn rename_and_copy_move_the_bytes_into_new_directories() {
        let (_dir, store) = open();
        store.put(&Path::from("from"), "x".into()).await.expect("put");
        store.copy(&Path::from("from"), &Path::from("p/copy")).await.expect("copy");
        store.rename(&Path::from("from"), &Path::from("q/moved")).await.expect("rename");
        assert_eq!(names(&store).await, ["p/copy", "q/moved"]);
        let error = store.rename(&Path::from("none"), &Path::from("r")).await.expect_err("no source");
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}
