//! Who writes the artifact that the deploy action reads, and so with which key (`facts/actions.md` B.1, C.1).

use super::declaration::{self, Place};
use serde_json::Value;

/// The action that puts out the deploy action's input artifact, found by the artifact's name and never by the order of the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Producer<'a> {
    /// The source action that is judged: it writes as its role, with the store's key.
    Source,
    /// An action that nothing here judges.
    Unjudged {
        /// Its name.
        action: &'a str,
        /// What it runs on, such as `CodeBuild`.
        provider: &'a str,
        /// The region that it runs in, and so whose store it writes to.
        region: &'a str,
        /// The artifact's name.
        artifact: &'a str,
    },
    /// An S3 source action, but not the one that was asked about.
    OtherSource {
        /// Its name.
        action: &'a str,
        /// The artifact's name.
        artifact: &'a str,
    },
    /// No action puts it out, or more than one.
    Unclear {
        /// The artifact's name.
        artifact: &'a str,
        /// How many do.
        count: usize,
    },
    /// The deploy action reads nothing.
    NoInput,
}

impl<'a> Producer<'a> {
    /// Finds who writes what an action reads; where it reads several artifacts, the first that isn't the judged source's counts.
    pub fn find(declaration: &'a Value, deploy: &'a Value, source: Place, home: &'a str) -> Producer<'a> {
        let of = |artifact: &'a str| match declaration::producers(declaration, artifact).as_slice() {
            [(place, _)] if *place == source => Producer::Source,
            [(_, action)] if declaration::is_s3_source(action) => Producer::OtherSource { action: declaration::name_of(action), artifact },
            [(_, action)] => Producer::Unjudged {
                action: declaration::name_of(action),
                provider: declaration::provider(action),
                region: declaration::region_of(action, home),
                artifact,
            },
            several => Producer::Unclear { artifact, count: several.len() },
        };
        let mut all = declaration::inputs(deploy).map(of).peekable();
        if all.peek().is_none() {
            return Producer::NoInput;
        }
        all.find(|producer| *producer != Producer::Source).unwrap_or(Producer::Source)
    }

    /// Says why the calls that read the artifact can't be judged; `None` where they can.
    pub fn unjudged(&self) -> Option<String> {
        match self {
            Producer::Source => None,
            Producer::Unjudged { action, provider, .. } => {
                Some(format!("the artifact is written by action {action} ({provider}), which xdeploy does not judge yet"))
            }
            Producer::OtherSource { action, .. } => {
                Some(format!("the artifact is written by source action {action}, which is not the one that was asked about"))
            }
            Producer::Unclear { artifact, count: 0 } => Some(format!("no action of the pipeline puts out artifact {artifact}")),
            Producer::Unclear { artifact, count } => Some(format!("{count} actions of the pipeline put out artifact {artifact}")),
            Producer::NoInput => Some("the deploy action names no input artifact".to_owned()),
        }
    }

    /// Says more of it, for the finding: what would have to be known.
    pub fn unknown(&self) -> Option<String> {
        let more = match self {
            Producer::Source => return None,
            Producer::Unjudged { provider: "CodeBuild", .. } => {
                "CodeBuild encrypts what it puts out with the key of its project, not with the store's, and neither that key nor the \
                 project's role is read: set the project's encryption key to the ARN of the store's key"
            }
            Producer::Unjudged { .. } => "with which role and key it is written is not known, so nobody can say whether Deploy can read it",
            Producer::OtherSource { .. } => "name its bucket with `--input-bucket`, or its object with `--object-key`, to judge that one",
            Producer::Unclear { .. } | Producer::NoInput => "correct the names of the artifacts in the pipeline",
        };
        let artifact = match self {
            Producer::Unjudged { artifact, .. } | Producer::OtherSource { artifact, .. } => format!(" ({artifact})"),
            _ => String::new(),
        };
        Some(format!("{}{artifact}: {more}", self.unjudged()?))
    }

    /// Says whether the artifact isn't written into the home region's store, so that it isn't copied from there either.
    pub fn is_elsewhere(&self, home: &str) -> bool {
        matches!(self, Producer::Unjudged { region, .. } if *region != home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn action(name: &str, provider: (&str, &str), reads: &[&str], writes: &[&str]) -> Value {
        let named = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        json!({"name": name, "actionTypeId": {"category": provider.0, "owner": "AWS", "provider": provider.1, "version": "1"},
            "inputArtifacts": named(reads), "outputArtifacts": named(writes)})
    }

    fn find(actions: &[Value]) -> Option<String> {
        let declaration = json!({"stages": [{"name": "All", "actions": actions}]});
        let deploy = actions.iter().find(|action| action["name"] == "Deploy").unwrap();
        Producer::find(&declaration, deploy, Place { stage: 0, action: 0 }, "us-east-1").unjudged()
    }

    #[test]
    fn the_producer_is_found_by_the_artifact_s_name() {
        let source = || action("Source", ("Source", "S3"), &[], &["Src"]);
        let deploy = |reads: &[&str]| action("Deploy", ("Deploy", "S3"), reads, &[]);
        let build = |reads: &[&str], writes: &[&str]| action("Build", ("Build", "CodeBuild"), reads, writes);
        let by_build = Some("the artifact is written by action Build (CodeBuild), which xdeploy does not judge yet".to_owned());
        // Beside a build that runs first, and whose output somebody else reads.
        assert_eq!(find(&[source(), build(&["Src"], &["Out"]), deploy(&["Src"])]), None);
        assert_eq!(find(&[source(), action("Ok", ("Approval", "Manual"), &[], &[]), deploy(&["Src"])]), None);
        assert_eq!(find(&[source(), build(&["Src"], &["Out"]), deploy(&["Out"])]), by_build);
        // A second output, a second input, and a build that stands behind the deploy action.
        assert_eq!(find(&[source(), build(&["Src"], &["A", "Out"]), deploy(&["Out"])]), by_build);
        assert_eq!(find(&[source(), build(&["Src"], &["Out"]), deploy(&["Src", "Out"])]), by_build);
        assert_eq!(find(&[source(), deploy(&["Out"]), build(&["Src"], &["Out"])]), by_build);
        let lambda = action("Render", ("Invoke", "Lambda"), &["Src"], &["Out"]);
        assert!(find(&[source(), lambda, deploy(&["Out"])]).unwrap().contains("action Render (Lambda)"));
        let second = action("Second", ("Source", "S3"), &[], &["Other"]);
        assert!(find(&[source(), second, deploy(&["Other"])]).unwrap().contains("source action Second"));
        assert!(find(&[source(), deploy(&["Out"])]).unwrap().contains("no action of the pipeline puts out artifact Out"));
        assert!(find(&[source(), build(&[], &["Out"]), build(&[], &["Out"]), deploy(&["Out"])]).unwrap().starts_with("2 actions"));
        assert!(find(&[source(), deploy(&[])]).unwrap().contains("names no input"));
    }
}
