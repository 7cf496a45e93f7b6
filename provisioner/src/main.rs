//! provisioner: the commands that make and operate a monitored Scalar DL network.

mod alerting;
mod alerts;
mod artifacts;
mod config;
mod desired;
mod environment;
mod exec;
mod grpc;
mod hooks;
mod hosts;
mod image_archive;
mod inbox;
mod install;
mod interrupt;
mod local;
mod lock;
mod machines;
mod moving_in;
mod network;
mod operate;
mod output;
mod pki;
mod planning;
mod private;
mod progress;
mod promtool;
mod remote;
mod roles;
mod secrets;
mod see;
mod selftest;
mod silence;
mod terraform;
mod tunnel;
mod verify;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Makes and operates a monitored Scalar DL network.
#[derive(Debug, Parser)]
#[command(name = "provisioner", version, arg_required_else_help = true)]
struct Cli {
    /// The folder of the environment, with its config.json [default: .]
    #[arg(
        short,
        long,
        value_name = "FOLDER",
        global = true,
        env = "PROVISIONER_ENVIRONMENT"
    )]
    environment: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Begin an environment: a folder with its config.json
    New(environment::NewFlags),
    /// Whether an environment's files are right: all that is wrong at once
    Validate,
    /// Which keys of two environments differ
    Diff(environment::DiffFlags),
    /// An environment's machines, for programs, ssh and Ansible
    Inventory(environment::InventoryFlags),
    /// A drawing of the network, in Mermaid's language
    Diagram,
    /// The JSON Schema of config.json, for editors
    Schema,
    /// Prepare an environment for Terraform, which makes machines in AWS
    Init(terraform::InitFlags),
    /// What would be done to machines in AWS, and on them; exit code 2 when there is something
    Plan(terraform::PlanFlags),
    /// Make machines in AWS as config.json wants them, and install on them
    Apply(terraform::ApplyFlags),
    /// Destroy machines in AWS; data only when that is said
    Destroy(terraform::DestroyFlags),
    /// What Terraform knows of the machines
    Output(terraform::OutputFlags),
    /// Have the next plan make a machine anew
    Taint(terraform::TaintFlags),
    /// Have it not do so
    Untaint(terraform::TaintFlags),
    /// Another number of ledgers, or of entry points, in config.json and in AWS
    Scale(terraform::ScaleFlags),
    /// Terraform's state, and where it is
    #[command(subcommand)]
    State(terraform::StateCommand),
    /// Install what monitors the nodes: look at all, and make what differs
    Install(install::InstallFlags),
    /// Start a node's programs again, and wait until they are healthy
    Start(install::StartFlags),
    /// What an alert says to do for a node that is ill: start its services again, plan and apply, replace it; until it is well
    Recover(operate::RecoverFlags),
    /// A new machine in the place of one
    Replace(operate::ReplaceFlags),
    /// Start the ledgers, or the entry points, anew: one after the other
    RollingRestart(operate::RollingRestartFlags),
    /// Take everything of ours away from the nodes
    Uninstall(install::UninstallFlags),
    /// How environments are: every node, its programs, disks and certificates
    Status(see::StatusFlags),
    /// What is wrong, and what to do about it
    Doctor(see::DoctorFlags),
    /// What programs of ours wrote on a node
    Logs(see::LogsFlags),
    /// A shell on a node, or a command there
    Ssh(see::SshFlags),
    /// A way to a program of a monitor, for a browser
    Open(see::OpenFlags),
    /// Whether everything works: targets, rules, dashboards, a test alert to every receiver, closed ports
    Verify(verify::VerifyFlags),
    /// A small network, made, hurt, mended and destroyed: whether all of it works in your account
    Selftest(selftest::SelftestFlags),
    /// Moving in beside node_exporter and Alertmanager
    #[command(subcommand)]
    MoveIn(moving_in::Command),
    /// Called by ssh
    #[command(hide = true)]
    KnownHost { words: Vec<String> },
    /// What a month costs: an estimate
    Cost(planning::CostFlags),
    /// What the network carries: an estimate
    Capacity(planning::CapacityFlags),
    /// The programs that are installed on the nodes: which, from where, and what they must be
    #[command(subcommand)]
    Artifacts(artifacts::Command),
    /// The network's monitoring on this one machine: Prometheus, node-exporter, alert-router and an inbox
    #[command(subcommand)]
    Local(local::Command),
    /// What has to do with the ledgers
    #[command(subcommand)]
    Scalardl(ScalarDlCommand),
    /// What has to do with alerts
    #[command(subcommand)]
    Alerts(AlertsCommand),
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Send a test alert all the way to every receiver, say when each got it, and resolve it
    Test(alerts::TestFlags),
}

#[derive(Debug, Subcommand)]
enum ScalarDlCommand {
    /// The ledger's tables in Cassandra
    #[command(subcommand)]
    Schema(SchemaCommand),
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Make them, where they are not there yet
    Load,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let named = cli.environment.as_deref();
    let folder = named.unwrap_or(Path::new("."));
    let done = match cli.command {
        Command::New(flags) => environment::new(&flags),
        Command::Validate => environment::validate(folder),
        Command::Diff(flags) => environment::diff(&flags),
        Command::Inventory(flags) => environment::inventory(folder, &flags),
        Command::Diagram => environment::diagram(folder),
        Command::Schema => config::print_schema(),
        Command::Init(flags) => terraform::init(folder, &flags),
        Command::Plan(flags) => terraform::plan(folder, &flags),
        Command::Apply(flags) => terraform::apply(folder, &flags),
        Command::Destroy(flags) => terraform::destroy(folder, &flags),
        Command::Output(flags) => terraform::outputs(folder, &flags),
        Command::Taint(flags) => terraform::taint(folder, &flags, "taint"),
        Command::Untaint(flags) => terraform::taint(folder, &flags, "untaint"),
        Command::Scale(flags) => terraform::scale(folder, &flags),
        Command::State(command) => terraform::state(folder, &command),
        Command::Install(flags) => install::install(folder, &flags),
        Command::Start(flags) => install::start(folder, &flags),
        Command::Recover(flags) => operate::recover(folder, &flags),
        Command::Replace(flags) => operate::replace(folder, &flags),
        Command::RollingRestart(flags) => operate::rolling_restart(folder, &flags),
        Command::Uninstall(flags) => install::uninstall(folder, &flags),
        Command::Status(flags) => see::status(folder, &flags),
        Command::Doctor(flags) => see::doctor(folder, &flags),
        Command::Logs(flags) => see::logs(folder, &flags),
        Command::Ssh(flags) => see::ssh(folder, &flags),
        Command::Open(flags) => see::open(folder, &flags),
        Command::Verify(flags) => verify::verify(folder, &flags),
        Command::Selftest(flags) => selftest::selftest(folder, &flags),
        Command::MoveIn(command) => moving_in::run(folder, &command),
        Command::KnownHost { words } => remote::known_host(&words),
        Command::Cost(flags) => planning::cost(folder, &flags),
        Command::Capacity(flags) => planning::capacity(folder, &flags),
        Command::Artifacts(command) => artifacts::run(folder, &command),
        Command::Local(command) => local::run(command),
        Command::Scalardl(ScalarDlCommand::Schema(SchemaCommand::Load)) => {
            install::load_schema(folder)
        }
        Command::Alerts(AlertsCommand::Test(flags)) => alerts::test(named, &flags),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            let is_of_files = error.is::<config::ConfigError>() || error.is::<hosts::HostsError>();
            ExitCode::from(match () {
                () if error.is::<interrupt::Interrupted>() => interrupt::EXIT_CODE,
                () if is_of_files => 2,
                () => 1,
            })
        }
    }
}

/// Where this program is, for lines that others will run.
fn own_path() -> anyhow::Result<PathBuf> {
    use anyhow::Context as _;
    std::env::current_exe().context("cannot find the path of this program")
}
