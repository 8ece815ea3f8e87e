//! The `muster` command: parses its arguments and hands over.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use muster::place::StackArgs;
#[cfg(feature = "aws")]
use muster::stack;
use muster::{
    backtest, completions, decide, doctor, explain, failure::Failure, history, local, marks, members, pause, policy,
    replay, simulate, status, top,
};

/// Muster keeps a group of EC2 instances at the size its load needs, and says why.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
struct Cli {
    #[command(flatten)]
    stack: StackArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole loop on this machine, without an AWS account: real agents, simulated load.
    Up(local::up::UpArgs),
    /// Decide what a group should do, from a snapshot on standard input. Changes nothing.
    Decide(decide::DecideArgs),
    Status(status::StatusArgs),
    Members(members::MembersArgs),
    History(history::HistoryArgs),
    Explain(explain::ExplainArgs),
    Top(top::TopArgs),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    Protect(marks::ProtectArgs),
    Drain(marks::DrainArgs),
    /// Check a policy, print its schema or its defaults; or read, write, edit, compare and take back the one of a group.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    Simulate(simulate::SimulateArgs),
    Backtest(backtest::BacktestArgs),
    /// Look at the agents of a group once from here, as MonitorS would.
    #[cfg(feature = "aws")]
    Sweep(stack::SweepArgs),
    /// Show the groups of a stack in a browser, at an address of this machine.
    #[cfg(feature = "aws")]
    Dashboard(stack::DashboardArgs),
    /// Add, remove or list the groups of a stack: launch template, schedule, alarms, policy.
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Group(stack::group::GroupCommand),
    Doctor(doctor::DoctorArgs),
    Replay(replay::ReplayArgs),
    Completions(completions::CompletionsArgs),
    /// One process of the local world; `muster up` starts it.
    #[command(subcommand, hide = true)]
    Local(local::LocalCommand),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Up(args) => local::up::run(&args),
        Command::Decide(args) => decide::run(&args),
        Command::Status(args) => status::run(&cli.stack, &args),
        Command::Members(args) => members::run(&cli.stack, &args),
        Command::History(args) => history::run(&cli.stack, &args),
        Command::Explain(args) => explain::run(&cli.stack, &args),
        Command::Top(args) => top::run(&cli.stack, &args),
        Command::Pause(args) => pause::run(&cli.stack, &args),
        Command::Resume(args) => pause::run_resume(&cli.stack, &args),
        Command::Protect(args) => marks::protect(&cli.stack, &args),
        Command::Drain(args) => marks::drain(&cli.stack, &args),
        #[cfg(feature = "aws")]
        Command::Sweep(args) => stack::sweep(&cli.stack, &args),
        #[cfg(feature = "aws")]
        Command::Dashboard(args) => stack::dashboard(&cli.stack, &args),
        #[cfg(feature = "aws")]
        Command::Group(command) => stack::group::run(&cli.stack, &command),
        Command::Policy(command) => policy::run(&command, &cli.stack),
        Command::Simulate(args) => simulate::run(&args),
        Command::Backtest(args) => backtest::run(&args, &cli.stack),
        Command::Doctor(args) => doctor::run(&cli.stack, &args),
        Command::Replay(args) => replay::run(&cli.stack, &args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Local(command) => local::run(&command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(failure),
    }
}

fn report(failure: Failure) -> ExitCode {
    let code = failure.exit_code();
    // Lines are broken where the text is wide, not in the middle of a sentence that somebody greps for.
    let whole_lines = |_: &_| -> Box<dyn miette::ReportHandler> {
        Box::new(miette::MietteHandlerOpts::new().wrap_lines(false).build())
    };
    // It fails only when a hook is set already.
    let _first = miette::set_hook(Box::new(whole_lines));
    eprintln!("{:?}", miette::Report::new(failure));
    ExitCode::from(code)
}
