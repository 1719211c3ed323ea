//! A `DmqMetadataCluster` and its pods, as `kubectl` shows them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tools::{apply, get, kubectl};
use super::wait::until;

/// One object. Nothing of it is kept here: every question asks Kubernetes.
#[derive(Clone, Debug)]
pub struct Quorum {
    namespace: String,
    name: String,
}

impl Quorum {
    /// Applies an object with this `spec`, given as YAML of two more spaces of indentation.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn apply(namespace: &str, name: &str, spec: &str) -> anyhow::Result<Self> {
        let quorum = Self::named(namespace, name);
        quorum.reapply(spec)?;
        Ok(quorum)
    }

    /// The object of this name, there or not.
    pub fn named(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Applies the object with another `spec`.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn reapply(&self, spec: &str) -> anyhow::Result<String> {
        apply(&self.namespace, &Self::yaml(&self.name, spec))
    }

    /// The object as YAML.
    pub fn yaml(name: &str, spec: &str) -> String {
        format!(
            "apiVersion: dmq.io/v1alpha1\nkind: DmqMetadataCluster\nmetadata:\n  name: {name}\nspec:\n{spec}\n"
        )
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `kubectl wait --for=condition=<condition>`.
    ///
    /// # Errors
    /// What `kubectl` says when it never came true.
    pub fn wait_for(&self, condition: &str) -> anyhow::Result<()> {
        let (object, condition) = (
            format!("dmqmc/{}", self.name),
            format!("--for=condition={condition}"),
        );
        kubectl(&[
            "wait",
            &object,
            "-n",
            &self.namespace,
            &condition,
            "--timeout=240s",
        ])?;
        Ok(())
    }

    /// The object now.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn object(&self) -> anyhow::Result<Value> {
        get(&["dmqmc", &self.name, "-n", &self.namespace])
    }

    /// Its status now.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn status(&self) -> anyhow::Result<Value> {
        Ok(self.object()?["status"].clone())
    }

    /// Waits until the status is as `is` says, and returns it.
    ///
    /// # Errors
    /// If it never is; with the last status.
    pub fn wait_status(
        &self,
        what: &str,
        mut is: impl FnMut(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        until(what, || {
            last = self.status()?;
            Ok(is(&last).then(|| last.clone()))
        })
        .map_err(|error| error.context(format!("the last status: {last:#}")))
    }

    /// A condition of a status: `(status, reason, message)`.
    pub fn condition<'a>(status: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
        let found = status["conditions"]
            .as_array()?
            .iter()
            .find(|c| c["type"] == kind)?;
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        Some((text("status"), text("reason"), text("message")))
    }

    /// Waits until the operator says that all of the newest spec is in place.
    ///
    /// # Errors
    /// If it never is.
    pub fn wait_settled(&self) -> anyhow::Result<Value> {
        let mut generation = Value::Null;
        until("the newest spec is in place", || {
            let object = self.object()?;
            generation = object["metadata"]["generation"].clone();
            let status = &object["status"];
            let ready = Self::condition(status, "Ready").is_some_and(|ready| ready.0 == "True");
            Ok((ready && status["observedGeneration"] == generation).then(|| status.clone()))
        })
    }

    /// Pod and term of the controller in the status.
    ///
    /// # Errors
    /// If there is none, or what `kubectl` says.
    pub fn leader(&self) -> anyhow::Result<(String, i64)> {
        let status = self.status()?;
        let pod = status["leader"]["podName"].as_str();
        let pod = pod.ok_or_else(|| anyhow::anyhow!("no leader in the status: {status}"))?;
        Ok((pod.to_owned(), status["term"].as_i64().unwrap_or_default()))
    }

    /// Its pods by name, as JSON.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn pods(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        let selector = format!(
            "app.kubernetes.io/name=dmq-metadata,app.kubernetes.io/instance={}",
            self.name
        );
        let list = get(&["pods", "-n", &self.namespace, "-l", &selector])?;
        let named = |pod: &Value| Some((pod["metadata"]["name"].as_str()?.to_owned(), pod.clone()));
        Ok(list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(named)
            .collect())
    }

    /// uid of every pod by its name.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn pod_uids(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let uid = |pod: &Value| {
            pod["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Ok(self
            .pods()?
            .iter()
            .map(|(name, pod)| (name.clone(), uid(pod)))
            .collect())
    }

    /// Names of the pods with the label of the Service `<name>-controller`.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn labelled(&self) -> anyhow::Result<Vec<String>> {
        let labelled = |pod: &Value| pod["metadata"]["labels"]["dmq.io/controller"] == "true";
        Ok(self
            .pods()?
            .into_iter()
            .filter(|(_, pod)| labelled(pod))
            .map(|(name, _)| name)
            .collect())
    }

    /// Reads a path of the REST interface through a Service, by way of the API server.
    ///
    /// # Errors
    /// What `kubectl` says, for example the node's problem document.
    pub fn read(&self, service: &str, path: &str) -> anyhow::Result<Value> {
        let path = format!(
            "/api/v1/namespaces/{}/services/{service}:rest/proxy/api/v1/metadata{path}",
            self.namespace
        );
        Ok(serde_json::from_str(&kubectl(&["get", "--raw", &path])?)?)
    }

    /// Reads a path of the REST interface of one pod, by way of the API server.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn read_pod(&self, pod: &str, path: &str) -> anyhow::Result<Value> {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{pod}:8080/proxy/api/v1/metadata{path}",
            self.namespace
        );
        Ok(serde_json::from_str(&kubectl(&["get", "--raw", &path])?)?)
    }

    /// What a user reads who asks what is wrong.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn describe(&self) -> anyhow::Result<String> {
        kubectl(&["describe", "dmqmc", &self.name, "-n", &self.namespace])
    }

    /// Waits until `kubectl describe` contains all of these, and returns it.
    ///
    /// # Errors
    /// If it never does; with the last text.
    pub fn wait_described(&self, parts: &[&str]) -> anyhow::Result<String> {
        let mut last = String::new();
        until(&format!("kubectl describe says {parts:?}"), || {
            last = self.describe()?;
            Ok(parts
                .iter()
                .all(|part| last.contains(part))
                .then(|| last.clone()))
        })
        .map_err(|error| error.context(last))
    }

    /// Sets an annotation.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn annotate(&self, annotation: &str) -> anyhow::Result<()> {
        kubectl(&[
            "annotate",
            "dmqmc",
            &self.name,
            "-n",
            &self.namespace,
            "--overwrite",
            annotation,
        ])?;
        Ok(())
    }
}
