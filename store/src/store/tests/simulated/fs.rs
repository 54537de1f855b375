//! The tables' object store on the simulated disk: puts are the very code of `DurableFs`, the rest is the
//! least that a flush and a check need.
//!
//! Everything happens on the calling thread, in the order called, so that a seed decides all of it.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

use crate::disk::Disk as _;
use crate::disk::sim::SimDisk;
use crate::durable_fs::put;

#[derive(Clone)]
pub(super) struct SimFs {
    pub disk: SimDisk,
    pub root: PathBuf,
}

impl SimFs {
    fn not_implemented<T>(&self, operation: &str) -> Result<T> {
        Err(Error::NotImplemented { operation: operation.to_owned(), implementer: self.to_string() })
    }
}

impl fmt::Display for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimFs")
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimFs")
    }
}

#[async_trait]
impl ObjectStore for SimFs {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        put(&self.disk, &self.root.join(location.as_ref()), &payload, opts.mode == PutMode::Create)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(SimUpload { fs: self.clone(), location: location.clone(), content: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, _: GetOptions) -> Result<GetResult> {
        let path = self.root.join(location.as_ref());
        let content = self.disk.contents(&path).ok_or_else(|| Error::NotFound {
            path: location.to_string(),
            source: "no such file on the simulated disk".into(),
        })?;
        let size = content.len() as u64;
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: Default::default(),
            size,
            e_tag: None,
            version: None,
        };
        let payload = GetResultPayload::Stream(stream::once(async { Ok(content.into()) }).boxed());
        Ok(GetResult { payload, meta, range: 0..size, attributes: Attributes::default() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let fs = self.clone();
        let delete = move |location: Result<Path>| {
            let location = location?;
            let removed = fs.disk.remove(&fs.root.join(location.as_ref()));
            removed
                .map(|()| location)
                .map_err(|error| Error::Generic { store: "SimFs", source: error.into() })
        };
        locations.map(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.map(ToString::to_string).unwrap_or_default();
        let below = |path: &PathBuf| Some(path.strip_prefix(&self.root).ok()?.to_str()?.to_owned());
        let names = self.disk.paths().iter().filter_map(below).collect::<Vec<_>>().into_iter();
        let metas = names.filter(move |name| name.starts_with(&prefix)).map(|name| {
            let (location, last_modified) = (Path::from(name), Default::default());
            Ok(ObjectMeta { location, last_modified, size: 0, e_tag: None, version: None })
        });
        stream::iter(metas.collect::<Vec<_>>()).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        self.not_implemented("list_with_delimiter")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        self.not_implemented("copy")
    }
}

/// Collects its parts and puts them at the end: where a put may be cut off is the same.
#[derive(Debug)]
struct SimUpload {
    fs: SimFs,
    location: Path,
    content: Vec<u8>,
}

#[async_trait]
impl MultipartUpload for SimUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        data.iter().for_each(|bytes| self.content.extend_from_slice(bytes));
        Box::pin(async { Ok(()) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let content = std::mem::take(&mut self.content);
        put(&self.fs.disk, &self.fs.root.join(self.location.as_ref()), &content.into(), false)
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}
