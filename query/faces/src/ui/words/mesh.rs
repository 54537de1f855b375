//! The texts of the mesh, of services and edges as the scripts of their pages and their drawings need them, both languages
//! side by side.

/// They are a part of `Words`.
pub struct MeshWords {
    /// The page loads itself, and the last time it could not.
    pub stale: &'static str,
}

pub const EN: MeshWords = MeshWords { stale: "The server does not answer: what is shown is from before." };

pub const ZH: MeshWords = MeshWords { stale: "服务器没有响应：显示的是之前的内容。" };
