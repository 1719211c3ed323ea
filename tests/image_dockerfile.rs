//! The Dockerfile and `cargo xtask images` make the same thing: one static program, one user without rights, nothing else.

use std::path::Path;

use dmq_testkit::image::{Archive, Docker, path_of};
use serde_json::{Value, json};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const NAMES: [&str; 2] = ["dmq-metadata", "dmq-operator"];

fn reference(name: &str) -> String {
    format!("ghcr.io/dmq-io/{name}:{VERSION}")
}

/// What somebody who runs the image relies on, without what a builder adds for itself.
fn essence(run: &Value) -> Value {
    let keys = [
        "User",
        "Entrypoint",
        "Cmd",
        "Labels",
        "ExposedPorts",
        "Volumes",
    ];
    let of = |key: &str| (key.to_owned(), run[key].clone());
    Value::Object(keys.map(of).into_iter().collect())
}

/// Builds the runtime stage `name` from programs that are there already, and reads what came out.
fn build(docker: &Docker, name: &str, programs: &Path) -> anyhow::Result<Archive> {
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile");
    let tag = format!("built/{name}:test");
    let (dockerfile, context) = (
        dockerfile.display().to_string(),
        programs.display().to_string(),
    );
    docker.run(&[
        "build",
        "--file",
        &dockerfile,
        "--build-arg",
        "BINARIES=local",
        "--target",
        name,
        "--tag",
        &tag,
        &context,
    ])?;
    let saved = programs.join(format!("{name}.tar"));
    docker.run(&["save", "--output", &saved.display().to_string(), &tag])?;
    Archive::read(&saved)
}

#[tokio::test]
async fn the_dockerfile_and_the_archives_are_the_same_images() -> anyhow::Result<()> {
    let docker = Docker::start().await?;
    let programs = tempfile::tempdir()?;
    for name in NAMES {
        let contents = Archive::of(&reference(name))?.contents()?;
        let program = contents[name].contents.clone().unwrap_or_default();
        let path = programs.path().join(name);
        std::fs::write(&path, program)?;
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable)?;
    }
    for name in NAMES {
        let built = build(&docker, name, programs.path())?;
        let kept = Archive::of(&reference(name))?;
        assert_eq!(built.contents()?, kept.contents()?, "{name}");
        assert_eq!(essence(&built.run()?), essence(&kept.run()?), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn docker_loads_the_archives() -> anyhow::Result<()> {
    let docker = Docker::start().await?;
    for name in NAMES {
        let reference = reference(name);
        let path = path_of(&reference)?.display().to_string();
        docker.run(&["load", "--input", &path])?;
        let inspected = docker.run(&["image", "inspect", &reference])?;
        let inspected: Value = serde_json::from_str(&inspected)?;
        assert_eq!(inspected[0]["RepoTags"], json!([reference]));
        let kept = Archive::of(&reference)?;
        assert_eq!(essence(&inspected[0]["Config"]), essence(&kept.run()?));
    }
    Ok(())
}

#[test]
fn an_image_is_one_program_for_a_user_without_rights() -> anyhow::Result<()> {
    for name in NAMES {
        let image = Archive::of(&reference(name))?;
        let contents = image.contents()?;
        assert_eq!(contents.keys().collect::<Vec<_>>(), [name]);
        assert_eq!((contents[name].mode, contents[name].owner), (0o755, (0, 0)));
        let run = image.run()?;
        assert_eq!(run["User"], "65532:65532");
        assert_eq!(run["Entrypoint"], json!([format!("/{name}")]));
        assert_eq!(run["Labels"]["org.opencontainers.image.version"], VERSION);
    }
    Ok(())
}
