//! The command line of people: log-in, users, tokens and the audit log, as clap reads it.

use clap::{Args, Subcommand};

use super::Page;

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Your name; asked for unless given.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Read the password from the first line of standard input, instead of asking for it. Where it was
    /// given for one log-in, the second line is the password of your own.
    #[arg(long, requires = "name")]
    pub(crate) password_stdin: bool,
    /// Hours that the token lives: 1 to 720; 12 unless given.
    #[arg(long)]
    pub(crate) hours: Option<u32>,
    /// A role within your own, for less: viewer, auditor, approver, operator, author, admin.
    #[arg(long)]
    pub(crate) role: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Lists users.
    List(Page),
    /// Makes a user and prints a password for the first log-in, once.
    Create {
        /// The name to log in with.
        name: String,
        /// viewer, auditor, approver, operator, author or admin.
        #[arg(long, default_value = "viewer")]
        role: String,
    },
    /// Gives a user another role. Its sessions end, and tokens that may do more.
    Role {
        /// The user's name or id.
        user: String,
        /// viewer, auditor, approver, operator, author or admin.
        role: String,
    },
    /// Shuts a user out; sessions and tokens end.
    Disable {
        /// The user's name or id.
        user: String,
    },
    /// Lets a user log in again.
    Enable {
        /// The user's name or id.
        user: String,
    },
    /// Gives a user a new password for one log-in and prints it, once.
    Reset {
        /// The user's name or id.
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Lists enrolment tokens.
    List(Page),
    /// Makes a token and prints it, once.
    Create {
        /// A name for people.
        #[arg(long)]
        name: String,
        /// Hosts that it brings in. One (unless given) is accepted at once; of more, each waits to be
        /// accepted.
        #[arg(long)]
        uses: Option<u32>,
        /// Hours that it lives; 1 for one host, 72 for more, unless given.
        #[arg(long)]
        hours: Option<u32>,
        /// Labels (KEY=VALUE) that its hosts get; may repeat.
        #[arg(long)]
        label: Vec<String>,
        /// Networks that it works from, such as 10.0.0.0/8; may repeat. All, unless given.
        #[arg(long)]
        network: Vec<String>,
    },
    /// Voids a token; hosts that came by it stay.
    Revoke {
        /// The token's id.
        token: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Checks that no row was changed or taken away; exit code 1 where one was.
    Verify,
}
