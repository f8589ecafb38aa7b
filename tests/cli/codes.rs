//! The table of error codes, as docs/result.md has it.

use std::collections::BTreeSet;

use cx_operator::record::code::Code;

/// `Code` → exit status → what to do, as a Markdown table.
pub(crate) fn table() -> String {
    let mut table = "| code | exit | what to do |\n|---|---|---|\n".to_owned();
    for &code in Code::ALL {
        let (name, exit) = (code.as_str(), code.exit());
        let hint = code.hint().replace('|', "\\|");
        table.push_str(&format!("| `{name}` | {exit} | {hint} |\n"));
    }
    table
}

#[test]
fn every_code_has_a_row_of_its_own() {
    let table = table();
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), Code::ALL.len());
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    assert!(
        rows.iter().all(|row| row.matches(" | ").count() == 2),
        "{table}"
    );
}

#[test]
fn every_exit_status_of_a_failure_is_in_the_contract() {
    for &code in Code::ALL {
        assert!([1, 2, 7, 8].contains(&code.exit()), "{}", code.as_str());
        assert!(!code.hint().is_empty(), "{} says nothing", code.as_str());
    }
}
