//! `muster completions SHELL`: what a shell needs to complete Muster's commands and options.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::policy::say;

/// Print what a shell needs to complete Muster's commands and options.
///
///   muster completions bash > ~/.local/share/bash-completion/completions/muster
///   muster completions zsh > ~/.zfunc/_muster
///   muster completions fish > ~/.config/fish/completions/muster.fish
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for `command`, which is the whole of `muster`.
pub fn run(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, "muster", &mut script);
    say(String::from_utf8_lossy(&script).trim_end())
}
