//! The start of a headless agent: a program that gets its prompt on stdin and prints its events on stdout.
//!
//! Its launcher is the one that a pane runs, so that environment, exit status, cgroup and the end of all that it starts are the
//! same. What it prints goes into files of the run's directory, so that whoever takes the run over reads on.

use crate::agent::conversation::Drive;
use crate::agent::executor::{CommandLine, Launch};
use crate::error::{Error, io as io_error};
use crate::os::launcher::{LauncherStart, Streams, environment_file};
use crate::os::process::cgroup::Cgroup;
use crate::record::RunDir;
use crate::record::journal::Step;
use crate::run::Run;
use crate::run::context::Agent;

impl Run<'_> {
    /// Starts the program.
    pub(super) async fn start_headless(
        &self,
        launch: &Launch<'_>,
        command: CommandLine,
    ) -> Result<Agent, Error> {
        let mut variables = self.ready.environment.clone();
        let own = self.ready.program.prepare(launch);
        variables.extend(own.map_err(io_error("prepare the agent's directory"))?);
        self.dir
            .write("environment", environment_file(&variables).as_bytes())?;
        let stream = self.dir.stream();
        let step = Step::Program {
            stream: stream.clone(),
        };
        let begin = async {
            let cgroup = self.make_cgroup();
            let start = LauncherStart {
                run_id: self.run_id.as_str(),
                launcher: &self.ready.helper.launcher(),
                cwd: launch.directory,
                environment: &self.dir.environment(),
                exit_status: &self.dir.exit_status(),
                cgroup: cgroup.as_ref().map(Cgroup::path),
                argv: &command.argv,
            };
            let streams = Streams {
                stdin: &self.dir.path().join(RunDir::prompt_name(1)),
                stdout: &stream,
                stderr: &self.dir.stderr_log(),
            };
            start.spawn(&streams).map_err(io_error("start the agent"))
        };
        let pid = self.journal.step(step, begin).await?;
        self.watch_over((pid, None), launch.directory, (command, Drive::Headless))
    }
}
