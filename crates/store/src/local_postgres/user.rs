//! The user that a server runs as: PostgreSQL refuses to run as root.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Tried in this order when we are root.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Who runs the server.
#[derive(Clone, Copy, Debug)]
pub(super) enum User {
    /// Whoever we are.
    Ourselves,
    /// Somebody else, since we are root.
    Other { uid: u32, gid: u32 },
}

impl User {
    /// Whom to run the server as; `None` if we are root and there is nobody else.
    pub(super) fn to_run_as() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return Some(Self::Ourselves);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
        UNPRIVILEGED
            .iter()
            .find_map(|name| Self::find(&passwd, name))
    }

    /// Makes a command run as this user. The standard library drops our supplementary groups with
    /// it.
    pub(super) fn run_as(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives a directory to this user, and to nobody else.
    pub(super) fn give(self, directory: &Path) -> std::io::Result<()> {
        if let Self::Other { uid, gid } = self {
            chown(directory, Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
    }

    /// Gives a file to this user, and to nobody else.
    #[cfg(feature = "conformance")]
    pub(super) fn give_file(self, file: &Path) -> std::io::Result<()> {
        if let Self::Other { uid, gid } = self {
            chown(file, Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
    }

    /// Lines are `name:password:uid:gid:...`.
    fn find(passwd: &str, name: &str) -> Option<Self> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let user = passwd
            .lines()
            .map(fields)
            .find(|fields| fields.first().is_some_and(|f| f == name))?;
        Some(Self::Other {
            uid: user.get(2)?.parse().ok()?,
            gid: user.get(3)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:105:110::/:/bin/sh\n";
        let user = User::find(passwd, "postgres");
        assert!(
            matches!(user, Some(User::Other { uid: 105, gid: 110 })),
            "{user:?}"
        );
        assert!(User::find(passwd, "nobody").is_none());
    }
}
