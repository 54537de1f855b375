//! The one binary: decides what the command line means, and what a failure looks like from outside.
//!
//! Modules are listed so that imports point only down the list.

mod import;
mod sql;
mod inspect;
mod maintain;
mod serve;
mod demo;
mod admin;
mod telemetry;
mod settling;
mod query_process;
mod config;
mod cli;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::cli::{Cli, Command, ServeArgs};
use crate::config::{Config, ConfigProblems};

/// Columns are built and freed on different threads all the time. glibc's allocator contends there and keeps what was
/// freed; mimalloc gives it back after a pause, which an overload never makes, and is then twice as large. jemalloc gives
/// back what was not used again for half a second (`.cargo/config.toml`), at the same cost.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// `EX_USAGE` of sysexits.h: the configuration is wrong, starting again will not help.
const EXIT_CONFIGURATION: u8 = 64;

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meshlake: {error:#}");
            ExitCode::from(if error.is::<ConfigProblems>() { EXIT_CONFIGURATION } else { 1 })
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Run(args) => serve::run(&load(&args)?, || load(&args)),
        Command::Collector(args) => serve::collector(&load(&args)?, || load(&args)),
        Command::Query(args) => serve::query(&load(&args.serve())?, &args.collector),
        Command::QueryProcess => serve::query_process(),
        Command::Demo(args) => serve::demo(&load(&args.serve)?, || load(&args.serve), &args),
        Command::Import(args) => {
            let mut config = load(&args.serve)?;
            // The bar and the summary say what lower levels would, and lines would tear the bar.
            "warn".clone_into(&mut config.telemetry.log);
            import::run(&config, &args)
        }
        Command::Sql(args) => {
            let mut config = load(&args.serve)?;
            // Where this process answers itself, its log would stand between the answers.
            "warn".clone_into(&mut config.telemetry.log);
            sql::run(&config, &args)
        }
        Command::Maintain(args) => {
            let mut config = load(&args.serve)?;
            // The bar and the summary say what lower levels would, and lines would tear the bar.
            "warn".clone_into(&mut config.telemetry.log);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(maintain::run(&config, args.rederived()))
        }
        Command::Inspect(args) => {
            let config = load(&args.serve)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(inspect::run(&config, &args))
        }
        Command::CheckConfig(args) => {
            let config = load(&args)?;
            print!("{}", toml::to_string_pretty(&config).context("print the configuration")?);
            Ok(())
        }
    }
}

fn load(args: &ServeArgs) -> Result<Config, ConfigProblems> {
    let data_dir = args.data_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
    let flags: Vec<(&[&str], String)> =
        data_dir.map(|dir| (["store", "data_dir"].as_slice(), dir)).into_iter().collect();
    config::load(args.config.as_deref(), std::env::vars_os(), &flags)
}
