//! Enrolment tokens: who may bring hosts into the fleet, how many, from where and until when.

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
    /// What a person or program may do. Ordered: each includes those before it, except *auditor*,
    /// which reads everything, the audit log too, and changes nothing.
    pub enum Role ("role") {
        /// Reads hosts, incidents and jobs.
        Viewer = "viewer",
        /// Reads everything, the audit log too.
        Auditor = "auditor",
        /// Orders safe and disruptive remediations (nobody may order dangerous ones alone); labels
        /// and accepts hosts.
        Operator = "operator",
        /// Manages tokens and people.
        Admin = "admin",
    }
}

words! {
    /// What a route or RPC asks of its caller. The table of roles against these is the only place
    /// that grants anything.
    pub enum Permission ("permission") {
        /// Nobody in particular: health, log-in.
        Public = "public",
        /// Read hosts, reports, incidents, jobs and the catalogue.
        Read = "read",
        /// Order, cancel and undo jobs; ignore and reopen incidents.
        Remediate = "remediate",
        /// Accept, label, revoke and retire hosts.
        ManageHosts = "manage_hosts",
        /// Make and revoke enrolment tokens.
        Enroll = "enroll",
        /// Make and revoke API tokens.
        ManageTokens = "manage_tokens",
        /// Read the audit log.
        Audit = "audit",
    }
}

impl Role {
    /// Whether this role grants `permission`.
    pub const fn grants(self, permission: Permission) -> bool {
        match permission {
            Permission::Public | Permission::Read => true,
            Permission::Remediate | Permission::ManageHosts => {
                matches!(self, Self::Operator | Self::Admin)
            }
            Permission::Enroll | Permission::ManageTokens => matches!(self, Self::Admin),
            Permission::Audit => matches!(self, Self::Auditor | Self::Admin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_grant_what_the_table_says() {
        let granted = |role: Role| -> Vec<&str> {
            Permission::ALL.iter().filter(|p| role.grants(**p)).map(|p| p.as_str()).collect()
        };
        assert_eq!(granted(Role::Viewer), ["public", "read"]);
        assert_eq!(granted(Role::Auditor), ["public", "read", "audit"]);
        assert_eq!(granted(Role::Operator), ["public", "read", "remediate", "manage_hosts"]);
        assert_eq!(granted(Role::Admin).len(), Permission::ALL.len());
    }
}
