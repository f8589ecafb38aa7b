//! `apply_patch`: the patch format of codex's editing tool, applied to the files below a directory.

use std::path::Path;

/// Applies a patch and returns what the tool prints, or why it cannot be applied.
///
/// The format: `*** Begin Patch`, then `*** Add File: p` with `+` lines, `*** Delete File: p`, or `*** Update File: p` with chunks
/// that begin with `@@` and have ` `, `-` and `+` lines; then `*** End Patch`.
pub(crate) fn apply(patch: &str, root: &Path) -> Result<String, String> {
    let mut lines = patch.lines().peekable();
    if lines.next().map(str::trim) != Some("*** Begin Patch") {
        return Err(
            "invalid patch: The first line of the patch must be '*** Begin Patch'".to_owned(),
        );
    }
    let mut done = String::new();
    while let Some(line) = lines.next() {
        if line.trim() == "*** End Patch" {
            return Ok(format!("Success. Updated the following files:\n{done}"));
        }
        let Some((verb, path)) = line
            .strip_prefix("*** ")
            .and_then(|header| header.split_once(" File: "))
        else {
            return Err(format!("invalid hunk: '{line}' is not a valid hunk header"));
        };
        let mut body = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("*** ")) {
            body.push(line);
        }
        let letter =
            change(verb, &root.join(path), &body).map_err(|reason| format!("{path}: {reason}"))?;
        done += &format!("{letter} {path}\n");
    }
    Err("invalid patch: The last line of the patch must be '*** End Patch'".to_owned())
}

/// Makes one change and returns its letter.
fn change(verb: &str, path: &Path, body: &[&str]) -> Result<char, String> {
    let text = |error: std::io::Error| error.to_string();
    match verb {
        "Add" => {
            let content: String = body
                .iter()
                .filter_map(|line| line.strip_prefix('+'))
                .flat_map(|line| [line, "\n"])
                .collect();
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory).map_err(text)?;
            }
            std::fs::write(path, content).map_err(text).map(|()| 'A')
        }
        "Delete" => std::fs::remove_file(path).map_err(text).map(|()| 'D'),
        "Update" => {
            let content = std::fs::read_to_string(path).map_err(text)?;
            let mut file: Vec<&str> = content.lines().collect();
            for chunk in body
                .split(|line| line.starts_with("@@"))
                .filter(|chunk| !chunk.is_empty())
            {
                file = replace(&file, chunk).ok_or("Failed to find expected lines")?;
            }
            std::fs::write(path, file.join("\n") + "\n")
                .map_err(text)
                .map(|()| 'M')
        }
        _ => Err(format!("unknown change '{verb}'")),
    }
}

/// Replaces a chunk's old lines by its new ones, where they first occur.
fn replace<'a>(file: &[&'a str], chunk: &[&'a str]) -> Option<Vec<&'a str>> {
    let side = |marks: [char; 2]| -> Vec<&'a str> {
        chunk
            .iter()
            .filter(|line| line.starts_with(marks))
            .map(|line| &line[1..])
            .collect()
    };
    let (old, new) = (side([' ', '-']), side([' ', '+']));
    let at = if old.is_empty() {
        file.len()
    } else {
        file.windows(old.len()).position(|window| window == old)?
    };
    Some([&file[..at], &new, &file[at + old.len()..]].concat())
}
