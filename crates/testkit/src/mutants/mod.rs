//! The mutation gate: proof that the tests find bugs. Each mutant is one seeded bug behind the feature `mutants`, one
//! line in the crate that it breaks, chosen at run time by `DMQ_MUTANT`. The gate starts what searches for bugs in this
//! repository under every mutant, and a mutant that nobody finds fails it.
//!
//! | file | has |
//! |---|---|
//! | `list` | the mutants: what each breaks, and who finds it |
//! | `sites` | the places of the mutants in the sources, compared with the list |
//! | `search` | the walker and the simulator as programs that stop at the first failure |
//! | `programs` | the programs that search, and what one of them said |
//! | `gate` | all mutants, several at a time |
//! | `table` | what was found, for people: on a terminal, and as docs/mutants.md |

mod gate;
mod list;
mod programs;
mod search;
mod sites;
mod table;

pub use gate::{Options, Outcome, run};
pub use list::{MUTANTS, Mutant};
pub use programs::{Finding, Program, Programs};
pub use search::{Search, search};
pub use sites::{Site, copies_differ, sites};
pub use table::{line, names_in, page};

/// The variable that chooses the mutant of a process.
pub const VARIABLE: &str = "DMQ_MUTANT";
