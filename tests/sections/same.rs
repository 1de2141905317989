//! What a correct program does as the older exporter did.

use super::oracle::{Run, Work};
use super::parts;
use super::table::{Row, Table};

/// Reads the table that was written.
pub fn table(work: &Work, name: &str) -> Result<Table, String> {
    let bytes = std::fs::read(work.folder.join(name)).map_err(|e| format!("{name}: {e}"))?;
    Table::parse(&String::from_utf8(bytes).map_err(|e| format!("{name}: {e}"))?)
}

/// Compares table and sounds of an export into `out.csv` and `parts`: the table should be `expected`, except in the
/// columns `but`. Returns the rows.
pub fn export(work: &Work, expected: &str, but: &[usize]) -> Result<Vec<Row>, String> {
    let table = table(work, "out.csv")?;
    table.is(&Table::parse(expected)?, but)?;
    let rows = table.rows()?;
    parts::check(work, &rows, "parts", |text| work.folder.join(text))?;
    work.only_wrote("out.csv", "parts")?;
    Ok(rows)
}

/// Compares everything.
pub fn check(work: &Work, run: &Run) -> Result<(), String> {
    let case = work.case;
    run.exits_with(case.exit)?;
    run.prints(&case.expected("stdout.txt"))?;
    if !case.exports() {
        return work.only_wrote("", "");
    }
    export(work, &case.expected("out.csv"), &[])?;
    silent(work, run)
}

/// Asserts that the one track whose sound is missing in the oracle's libraries is named.
pub fn silent(work: &Work, run: &Run) -> Result<(), String> {
    if work.case.library == "main" && run.stdout.contains("/kappa.wav\n") {
        run.reports(&work.case.file("kappa.json"))?;
    }
    Ok(())
}
