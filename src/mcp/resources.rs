//! The files of a run's record as resources: `cx-operator://runs/<run-id>/<file>`.

use std::fs::{self, File};
use std::io::Read;

use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};

use super::Desk;
use super::call::safe;
use super::reach::Found;
use crate::error::{Error, io as io_error};
use crate::operator::listing::Choice;
use crate::record::shown;

/// The beginning of every address.
const RUNS: &str = "cx-operator://runs/";
/// The files, with their kind and what they are.
const FILES: [(&str, &str, &str); 5] = [
    (
        "run.json",
        "application/json",
        "the record: how the run ended",
    ),
    ("task.md", "text/markdown", "the brief"),
    (
        "events.jsonl",
        "application/jsonl",
        "the journal: what happened, in order",
    ),
    ("patch.diff", "text/x-diff", "the complete diff"),
    (
        "transcript.jsonl",
        "application/jsonl",
        "the agent's own transcript",
    ),
];
/// So many runs have their files listed on a page.
const A_PAGE: usize = 20;
/// A longer file is not read in one piece.
const LONGEST: u64 = 1 << 20;

/// The address of every such file.
pub(super) fn templates() -> ListResourceTemplatesResult {
    let template = FILES.map(|(file, kind, what)| {
        ResourceTemplate::new(format!("{RUNS}{{run_id}}/{file}"), file)
            .with_description(what)
            .with_mime_type(kind)
    });
    ListResourceTemplatesResult::with_all_items(template.to_vec())
}

/// The files of the newest runs in reach, or of the newest ones before that one.
pub(super) fn list(desk: &Desk, before: Option<&str>) -> Result<ListResourcesResult, Error> {
    let mut runs = desk.operator.store().load_runs()?;
    runs.retain(|run| before.is_none_or(|before| run.name() < before));
    let mut runs = runs.iter().rev().filter(|run| desk.reach.has_run(run));
    let (mut resources, mut last) = (Vec::new(), None);
    for run in runs.by_ref().take(A_PAGE) {
        last = Some(run.name().to_owned());
        for (file, kind, what) in FILES {
            let Ok(found) = fs::metadata(run.path().join(file)) else {
                continue;
            };
            let name = format!("{}/{file}", run.name());
            let resource = Resource::new(format!("{RUNS}{name}"), name)
                .with_description(what)
                .with_mime_type(kind)
                .with_size(found.len());
            resources.push(resource);
        }
    }
    let mut page = ListResourcesResult::with_all_items(resources);
    page.next_cursor = last.filter(|_| runs.next().is_some());
    Ok(page)
}

/// The text of a file, without keys.
pub(super) fn read(desk: &Desk, uri: &str) -> Result<ReadResourceResult, Error> {
    let unknown = || Error::Usage(format!("there is no resource {}", uri.escape_default()));
    let (id, file) = uri
        .strip_prefix(RUNS)
        .and_then(|path| path.split_once('/'))
        .ok_or_else(unknown)?;
    let (file, kind, _) = FILES
        .iter()
        .find(|(name, ..)| *name == file)
        .ok_or_else(unknown)?;
    let Found::Begun(run) = desk.reach.load(desk.operator.store(), id)? else {
        return Err(unknown());
    };
    let text = if *file == "run.json" {
        let record = run.load_record()?.ok_or_else(unknown)?;
        shown::record(&record).text
    } else {
        let path = run.path().join(file);
        let failed = || io_error(format!("read {}", path.display()));
        let opened = File::open(&path).map_err(failed())?;
        let length = opened.metadata().map_err(failed())?.len();
        if length > LONGEST {
            return Err(Error::Usage(format!(
                "{uri} has {length} bytes: the tools `diff` and `events` read in pages"
            )));
        }
        let mut bytes = Vec::new();
        opened
            .take(LONGEST)
            .read_to_end(&mut bytes)
            .map_err(failed())?;
        safe(&String::from_utf8_lossy(&bytes)).0
    };
    let text = ResourceContents::text(text, uri).with_mime_type(*kind);
    Ok(ReadResourceResult::new(vec![text]))
}
