//! System calls that the query process has no use for, by seccomp: they fail with `EPERM`.
//!
//! A list of what is refused and not of what is allowed: libraries and the system's own make calls that nobody here could
//! foresee, and a process that dies of a new one would serve nobody better. What is on it starts programs, looks into
//! other processes or signals them, changes what is mounted or who owns it, or speaks to parts of the kernel that are
//! known for their holes. Landlock knows no modes, owners or extended attributes of files, so they are here as well.

use std::collections::BTreeMap;

use libc::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, EPERM};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::Left;

/// What is said when they are.
pub const FILTERED: &str = "filtered";

/// Refused whatever their arguments.
const REFUSED: [i64; 62] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_personality,
];

/// Older forms of the same, which newer machines do not have.
#[cfg(target_arch = "x86_64")]
const REFUSED_OLDER: [i64; 8] = [
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OLDER: [i64; 0] = [];

/// Filters the calls of this thread and those that it starts, and says whether they are.
pub fn filter(left: &Left) -> String {
    match filtered(left) {
        Ok(()) => FILTERED.to_owned(),
        Err(error) => format!("not filtered: {error}"),
    }
}

fn filtered(left: &Left) -> Result<(), seccompiler::Error> {
    let program: BpfProgram = rules(left).and_then(|rules| {
        let machine = std::env::consts::ARCH.try_into()?;
        let refused = SeccompAction::Errno(EPERM.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, refused, machine)?.try_into()
    })?;
    seccompiler::apply_filter(&program)
}

fn rules(left: &Left) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let whatever = REFUSED.into_iter().chain(REFUSED_OLDER).map(|call| (call, Vec::new()));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = whatever.collect();
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_kill, unless_first_is(&[own])?);
    rules.insert(libc::SYS_tgkill, unless_first_is(&[own])?);
    rules.insert(libc::SYS_prlimit64, unless_first_is(&[0, own])?);
    let mut families = Vec::new();
    if left.connects_to_collector {
        families.push(AF_UNIX);
    }
    if left.telemetry_port.is_some() {
        // Names of hosts are looked up over all of these.
        families.extend([AF_UNIX, AF_INET, AF_INET6, AF_NETLINK]);
    }
    let families: Vec<u64> = families.into_iter().map(|family| u64::from(family.unsigned_abs())).collect();
    rules.insert(libc::SYS_socket, unless_first_is(&families)?);
    Ok(rules)
}

/// Refuses a call unless its first argument is one of `allowed`.
fn unless_first_is(allowed: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let is_other = |value: &u64| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *value);
    let conditions = allowed.iter().map(is_other).collect::<Result<Vec<_>, _>>()?;
    // No rule at all refuses the call whatever its arguments.
    if conditions.is_empty() { Ok(Vec::new()) } else { Ok(vec![SeccompRule::new(conditions)?]) }
}
