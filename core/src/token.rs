//! Who may do what: tokens with which hosts join, and the roles of people and programs.

use crate::words;

words! {
    /// What a token is for.
    pub enum TokenKind ("token kind") {
        /// One host, accepted at once.
        OneUse = "one_use",
        /// Many hosts, which stay *pending* until accepted.
        Deployment = "deployment",
    }
}

words! {
    /// What a person or program may do. Each step of viewer, operator, author, admin includes those
    /// before it; *approver* and *auditor* stand beside them.
    pub enum Role ("role") {
        /// Reads hosts, incidents and jobs.
        Viewer = "viewer",
        /// Reads everything, the audit log too.
        Auditor = "auditor",
        /// Reads, and approves campaigns that others wrote.
        Approver = "approver",
        /// Orders safe and disruptive remediations (nobody may order dangerous ones alone); labels
        /// and accepts hosts; halts the fleet.
        Operator = "operator",
        /// Writes and starts campaigns and freezes too.
        Author = "author",
        /// Everything; manages tokens and people.
        Admin = "admin",
    }
}

words! {
    /// What a route or RPC asks of its caller. The table of roles against these is the only place
    /// that grants anything.
    pub enum Permission ("permission") {
        /// Nobody in particular: health, log-in.
        Public = "public",
        /// One's own sessions and password.
        Own = "own",
        /// Read hosts, reports, incidents, jobs, campaigns and the catalogue.
        Read = "read",
        /// Order, cancel and undo jobs; ignore and reopen incidents.
        Remediate = "remediate",
        /// Accept, label, revoke and retire hosts.
        ManageHosts = "manage_hosts",
        /// Halt the fleet and let it go on.
        Halt = "halt",
        /// Write, start, pause and abort campaigns; set freezes.
        Author = "author",
        /// Approve campaigns that somebody else wrote. No program can.
        Approve = "approve",
        /// Make and revoke enrolment tokens.
        Enroll = "enroll",
        /// Make and revoke API tokens.
        ManageTokens = "manage_tokens",
        /// Make users, give them roles, disable them, reset their passwords.
        ManagePeople = "manage_people",
        /// Read the audit log.
        Audit = "audit",
    }
}

impl Permission {
    /// Whether only a person may use it who has logged in: no API token does, whatever its role.
    pub const fn needs_person(self) -> bool {
        matches!(self, Self::Approve)
    }

    /// Whether it takes a log-in by name and password, lately: a session, or the token that a log-in
    /// gave. A program's token that could make people could make itself an approver.
    pub const fn needs_log_in(self) -> bool {
        matches!(self, Self::Approve | Self::ManagePeople)
    }
}

impl Role {
    /// Whether this role grants `permission`.
    pub const fn grants(self, permission: Permission) -> bool {
        match permission {
            Permission::Public | Permission::Own | Permission::Read => true,
            Permission::Remediate | Permission::ManageHosts | Permission::Halt => {
                matches!(self, Self::Operator | Self::Author | Self::Admin)
            }
            Permission::Author => matches!(self, Self::Author | Self::Admin),
            Permission::Approve => matches!(self, Self::Approver | Self::Admin),
            Permission::Enroll | Permission::ManageTokens | Permission::ManagePeople => {
                matches!(self, Self::Admin)
            }
            Permission::Audit => matches!(self, Self::Auditor | Self::Admin),
        }
    }

    /// Whether this role grants all that `other` does: what somebody of it may hand on.
    pub fn covers(self, other: Self) -> bool {
        Permission::ALL.iter().all(|p| self.grants(*p) || !other.grants(*p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_grant_what_the_table_says() {
        let granted = |role: Role| -> String {
            let all = Permission::ALL.iter().filter(|p| role.grants(**p)).map(|p| p.as_str());
            all.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(granted(Role::Viewer), "public own read");
        assert_eq!(granted(Role::Auditor), "public own read audit");
        assert_eq!(granted(Role::Approver), "public own read approve");
        assert_eq!(granted(Role::Operator), "public own read remediate manage_hosts halt");
        assert_eq!(granted(Role::Author), "public own read remediate manage_hosts halt author");
        assert_eq!(
            granted(Role::Admin),
            "public own read remediate manage_hosts halt author approve enroll manage_tokens \
             manage_people audit"
        );
    }

    #[test]
    fn a_role_covers_what_grants_no_more() {
        let covered = |role: Role| -> String {
            let all = Role::ALL.iter().filter(|r| role.covers(**r)).map(|r| r.as_str());
            all.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(covered(Role::Viewer), "viewer");
        assert_eq!(covered(Role::Auditor), "viewer auditor");
        assert_eq!(covered(Role::Approver), "viewer approver");
        assert_eq!(covered(Role::Operator), "viewer operator");
        assert_eq!(covered(Role::Author), "viewer operator author");
        assert_eq!(covered(Role::Admin), "viewer auditor approver operator author admin");
    }

    #[test]
    fn no_program_approves() {
        let persons: Vec<_> = Permission::ALL.iter().filter(|p| p.needs_person()).collect();
        assert_eq!(persons, [&Permission::Approve]);
        let logged_in: Vec<_> = Permission::ALL.iter().filter(|p| p.needs_log_in()).collect();
        assert_eq!(logged_in, [&Permission::Approve, &Permission::ManagePeople]);
    }
}
