//! Files and ports, by Landlock: the data directory can be read, the spill directory written, and that is all.
//!
//! Each right is taken as far as the kernel knows it: files since Linux 5.13, TCP since 6.7, signals to other processes
//! and sockets without a name in the file system since 6.12.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::Left;

/// The newest rights that are named here.
const RIGHTS: ABI = ABI::V6;

/// What is said where the kernel has none of it.
pub const ABSENT: &str = "not restricted, this kernel has no Landlock";

/// Where names of hosts are looked up.
const NAMES_DIR: &str = "/etc";

/// Restricts this thread and those that it starts, and says how far that went.
pub fn restrict(left: &Left) -> String {
    match restricted(left) {
        Ok(RulesetStatus::FullyEnforced) => "restricted".to_owned(),
        Ok(RulesetStatus::PartiallyEnforced) => "restricted as far as this kernel can".to_owned(),
        Ok(RulesetStatus::NotEnforced) => ABSENT.to_owned(),
        Err(error) => format!("not restricted: {error}"),
    }
}

fn restricted(left: &Left) -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        .handle_access(AccessNet::from_all(RIGHTS))?
        .scope(Scope::from_all(RIGHTS))?
        .create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = allowed(rules, &left.data_dir, read)?;
    rules = allowed(rules, &left.spill_dir, AccessFs::from_all(RIGHTS) & !AccessFs::Execute)?;
    if let Some(port) = left.telemetry_port {
        rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        rules = allowed(rules, NAMES_DIR.as_ref(), read)?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

fn allowed(
    rules: landlock::RulesetCreated,
    dir: &std::path::Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, RulesetError> {
    match PathFd::new(dir) {
        Ok(opened) => rules.add_rule(PathBeneath::new(opened, access)),
        // What is not there cannot be allowed, and need not be.
        Err(_) => Ok(rules),
    }
}
