//! Every configuration of meshlake in `deploy/` is one that it takes, whether its proxy can be run here or not; those
//! that run it in containers and as a service set keys that there are and reach the ports that it then has; and what is Istio's
//! is what Istio's API knows.
//!
//! Images, pods and units are read as text: a library for YAML would be there for this alone.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

use crate::harness::BINARY;
use crate::sql::tools::{program, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_configuration_in_deploy_is_taken() -> Result<()> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let mut checked = 0;
    for entry in std::fs::read_dir(deploy)? {
        let file = entry?.path().join("meshlake.toml");
        if !file.exists() {
            continue;
        }
        let output = Command::new(BINARY).arg("check-config").arg("--config").arg(&file).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", file.display());
        checked += 1;
    }
    ensure!(checked > 0, "there are none");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_meshlake_sets_keys_that_there_are_and_reaches_its_ports() -> Result<()> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let read = |name: &str| std::fs::read_to_string(deploy.join(name)).with_context(|| name.to_owned());
    let image = read("Dockerfile")?;
    let exposed =
        image.lines().find_map(|line| line.strip_prefix("EXPOSE ")).context("ports of the image")?;
    let exposed: BTreeSet<u16> = exposed.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let used = configuration(&variables(&image)).await?;
    let listening = used.lines().filter_map(|line| line.rsplit_once("\"0.0.0.0:")?.1.strip_suffix('"'));
    let listening: BTreeSet<u16> = listening.map(str::parse).collect::<Result<_, _>>()?;
    ensure!(exposed == listening, "the image exposes {exposed:?} and listens on {listening:?}");

    let pod = read("kubernetes/meshlake.yaml")?;
    configuration(&variables(&pod)).await?;
    for (before, after) in [(" port: ", ","), ("containerPort: ", "}")] {
        let ports: BTreeSet<u16> = numbers(&pod, before, after).collect();
        ensure!(ports == exposed, "{before}of the pod is {ports:?}, of the image {exposed:?}");
    }
    let published: BTreeSet<u16> = numbers(&read("compose.yaml")?, "- 127.0.0.1:", ":").collect();
    ensure!(published.is_superset(&exposed), "compose publishes {published:?}");
    configuration(&variables(&read("systemd/meshlake.service")?)).await?;
    Ok(())
}

/// Istio itself needs Kubernetes. Its API is a module of Go: what is read into its messages has no key that it does not know, and
/// what is used is defined.
#[tokio::test(flavor = "multi_thread")]
async fn istios_api_knows_what_its_snippets_say() -> Result<()> {
    let Some(go) = program("go", "golang")? else { return Ok(()) };
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reader = top.join("tests/e2e/proxies/istio");
    let [mesh, gateways] = ["meshlake", "gateways"].map(|name| top.join(format!("deploy/istio/{name}.yaml")));
    let arguments = ["-C".as_ref(), reader.as_os_str(), "run".as_ref(), ".".as_ref()];
    let told = run(&go, arguments.into_iter().chain([mesh.as_os_str(), gateways.as_os_str()])).await?;
    let [defined, all, none, single] = told.lines().collect::<Vec<_>>()[..] else { bail!("{told}") };
    let defined: BTreeSet<&str> = defined.split(' ').collect();
    let providers = ["meshlake-http", "meshlake-otlp", "meshlake-tcp", "meshlake-traces"];
    ensure!(defined == BTreeSet::from(providers), "defined are {defined:?}");
    ensure!(none.is_empty(), "{gateways:?} defines {none}");
    for used in [all, single] {
        ensure!(used.split(' ').all(|name| defined.contains(name)), "{used} are used of {defined:?}");
    }
    Ok(())
}

/// What is set of our environment: `NAME=value` and `name: NAME, value: "value"`.
fn variables(text: &str) -> Vec<(String, String)> {
    let named = text.match_indices("MESHLAKE_").filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_')?;
        let (name, rest) = rest.split_at(end);
        let value = rest.strip_prefix('=').or_else(|| rest.strip_prefix(", value: \""))?;
        let value = value.split(['"', ' ', '\\', '\n']).next()?;
        Some((name.to_owned(), value.to_owned()))
    });
    named.collect()
}

/// The configuration with these variables, as TOML.
async fn configuration(variables: &[(String, String)]) -> Result<String> {
    ensure!(!variables.is_empty(), "nothing is set");
    let output = Command::new(BINARY).arg("check-config").envs(variables.iter().cloned()).output().await?;
    ensure!(output.status.success(), "{variables:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The numbers between `before` and `after`.
fn numbers<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = u16> + 'a {
    let found = text.split(before).skip(1);
    found.filter_map(move |rest| rest.split_once(after)?.0.parse().ok())
}
