//! The declared tables against the catalogue's.

use super::facts::{ObservedColumn, ObservedTable};
use crate::quote;
use crate::workshop::{Column, Table};

/// One way in which a table is not as declared. What keeps it from being mended without losing anything is its
/// hindrance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaDrift {
    TableMissing {
        table: String,
    },
    /// Something else has the table's name.
    NoTable {
        table: String,
        found: String,
    },
    TableOwner {
        table: String,
        owner: String,
    },
    ColumnMissing {
        table: String,
        column: Column,
        hindrance: Option<String>,
    },
    ColumnType {
        table: String,
        column: Column,
        found: String,
        hindrance: Option<String>,
    },
    ColumnNull {
        table: String,
        column: Column,
        hindrance: Option<String>,
    },
    ColumnDefault {
        table: String,
        column: Column,
        found: Option<String>,
    },
    NotPrimaryKey {
        table: String,
        columns: Vec<String>,
        hindrance: Option<String>,
    },
}

/// Every difference, in the order of the declaration. Columns and tables that somebody added are theirs.
#[must_use]
pub fn differences(declared: &[Table], observed: &[ObservedTable], role: &str) -> Vec<SchemaDrift> {
    let mut drifts = Vec::new();
    for table in declared {
        let name = table.name.clone();
        let Some(other) = observed.iter().find(|other| other.name == table.name) else {
            drifts.push(SchemaDrift::TableMissing { table: name });
            continue;
        };
        if let Some(found) = other.instead.clone() {
            drifts.push(SchemaDrift::NoTable { table: name, found });
            continue;
        }
        if other.owner != role {
            drifts.push(SchemaDrift::TableOwner {
                table: name,
                owner: other.owner.clone(),
            });
        }
        for column in &table.columns {
            drifts.extend(column_differences(table, column, other));
        }
        drifts.extend(key_difference(table, other));
    }
    drifts
}

fn column_differences(
    table: &Table,
    column: &Column,
    observed: &ObservedTable,
) -> Vec<SchemaDrift> {
    let (name, mut column) = (&table.name, column.clone());
    let Some(found) = observed.column(&column.name) else {
        // A key of several columns is made when all of them are there.
        column.primary_key &= key(table).len() == 1;
        let hindrance = missing_hindrance(&column, observed);
        return vec![SchemaDrift::ColumnMissing {
            table: name.clone(),
            column,
            hindrance,
        }];
    };
    let mut drifts = Vec::new();
    if found.data_type != column.data_type {
        let widens = column.data_type == "text";
        drifts.push(SchemaDrift::ColumnType {
            table: name.clone(),
            column: column.clone(),
            found: found.data_type.clone(),
            hindrance: match found.held_by.as_deref() {
                _ if !widens => {
                    Some("turning one into the other could lose what is in the rows".to_owned())
                }
                None | Some([]) => None,
                Some(held) => Some(format!("{} would have to go first", held.join(", "))),
            },
        });
    }
    if found.default != column.default {
        drifts.push(SchemaDrift::ColumnDefault {
            table: name.clone(),
            column: column.clone(),
            found: found.default.clone(),
        });
    }
    if found.not_null != column.not_null {
        drifts.push(SchemaDrift::ColumnNull {
            table: name.clone(),
            hindrance: match column.not_null {
                true if found.has_nulls == Some(true) => {
                    Some("some of its rows have no value there".to_owned())
                }
                false if found.primary_key => Some("it is part of the primary key".to_owned()),
                _ => None,
            },
            column,
        });
    }
    drifts
}

/// Why a column cannot be added: what would stand in the rows that are there, only their owner knows.
fn missing_hindrance(column: &Column, observed: &ObservedTable) -> Option<String> {
    let has_rows = observed.has_rows == Some(true);
    let counts = column.default.as_deref().is_some_and(counts);
    if has_rows && column.not_null && column.default.is_none() {
        Some("the rows that are there have no value for it".to_owned())
    } else if has_rows && column.primary_key && !counts {
        Some("the rows that are there would all have the same key".to_owned())
    } else if column.primary_key {
        observed.other_key(&[column.name.as_str()])
    } else {
        None
    }
}

/// The columns of the declared key.
fn key(table: &Table) -> Vec<&Column> {
    let columns = table.columns.iter();
    columns.filter(|column| column.primary_key).collect()
}

/// The declared key, where its columns are not the key. A single one that is missing comes with it; of several, those
/// that are missing come first.
fn key_difference(table: &Table, observed: &ObservedTable) -> Option<SchemaDrift> {
    let declared = key(table);
    let columns: Vec<&str> = declared.iter().map(|column| column.name.as_str()).collect();
    let found = columns.iter().filter_map(|name| observed.column(name));
    let found: Vec<&ObservedColumn> = found.collect();
    let mut missing = declared;
    missing.retain(|column| observed.column(&column.name).is_none());
    let is_key = missing.is_empty() && found.iter().all(|column| column.primary_key);
    let comes_with_column = columns.len() == 1 && !missing.is_empty();
    if is_key || comes_with_column {
        return None;
    }
    let any = |has: fn(&ObservedColumn) -> Option<bool>| {
        found.iter().any(|column| has(column) == Some(true))
    };
    // In the rows that are there a column that comes has one value, unless it counts.
    let tells_apart = |column: &&Column| column.default.as_deref().is_some_and(counts);
    let with_rows = observed.has_rows == Some(true) && !missing.iter().any(tells_apart);
    let hindrance = observed.other_key(&columns).or_else(|| {
        if any(|column| column.has_nulls) {
            Some("some of its rows have no value there".to_owned())
        } else if columns.len() == 1 && any(|column| column.has_twins) {
            Some("some of its rows have the same value there".to_owned())
        } else if with_rows && found.is_empty() {
            Some("the rows that are there would all have the same key".to_owned())
        } else if with_rows && found.len() == 1 && any(|column| column.has_twins) {
            Some("some of the rows that are there would have the same key".to_owned())
        } else {
            None
        }
    });
    Some(SchemaDrift::NotPrimaryKey {
        table: table.name.clone(),
        columns: columns.into_iter().map(str::to_owned).collect(),
        hindrance,
    })
}

impl ObservedTable {
    fn column(&self, name: &str) -> Option<&ObservedColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// That it has a key which holds other columns, in words.
    fn other_key(&self, wanted: &[&str]) -> Option<String> {
        let key = self.columns.iter().filter(|column| column.primary_key);
        let key: Vec<&str> = key.map(|column| column.name.as_str()).collect();
        let is_other = !key.is_empty() && key != wanted;
        is_other.then(|| format!("its primary key is {}", key.join(", ")))
    }
}

/// Whether a default takes its values from a sequence.
fn counts(default: &str) -> bool {
    default.starts_with("nextval(")
}

/// The sequence of a default that counts, as the default itself names it.
fn sequence(default: &str) -> Option<&str> {
    let rest = default.strip_prefix("nextval('")?;
    rest.strip_suffix("'::regclass)")
}

impl SchemaDrift {
    #[must_use]
    pub fn table(&self) -> &str {
        match self {
            Self::TableMissing { table }
            | Self::NoTable { table, .. }
            | Self::TableOwner { table, .. }
            | Self::ColumnMissing { table, .. }
            | Self::ColumnType { table, .. }
            | Self::ColumnNull { table, .. }
            | Self::ColumnDefault { table, .. }
            | Self::NotPrimaryKey { table, .. } => table,
        }
    }

    /// The difference in words.
    #[must_use]
    pub fn summary(&self) -> String {
        let or_none = |default: &Option<String>| match default {
            Some(default) => format!("the default {default}"),
            None => "no default".to_owned(),
        };
        match self {
            Self::TableMissing { table } => format!("the table {table} is missing"),
            Self::NoTable { table, found } => format!("{table} is {found}, and no table"),
            Self::TableOwner { table, owner } => format!("the table {table} belongs to {owner}"),
            Self::ColumnMissing { table, column, .. } => {
                format!("the column {table}.{} is missing", column.name)
            }
            Self::ColumnType {
                table,
                column,
                found,
                ..
            } => format!(
                "the column {table}.{} is of type {found}, not {}",
                column.name, column.data_type
            ),
            Self::ColumnNull { table, column, .. } if column.not_null => {
                format!("the column {table}.{} may be null", column.name)
            }
            Self::ColumnNull { table, column, .. } => {
                format!("the column {table}.{} may not be null", column.name)
            }
            Self::ColumnDefault {
                table,
                column,
                found,
            } => format!(
                "the column {table}.{} has {}, not {}",
                column.name,
                or_none(found),
                or_none(&column.default)
            ),
            Self::NotPrimaryKey { table, columns, .. } => match &columns[..] {
                [column] => format!("the column {table}.{column} is not the primary key"),
                _ => format!("{} are not the primary key of {table}", columns.join(", ")),
            },
        }
    }

    fn hindrance(&self) -> Option<&str> {
        match self {
            Self::ColumnMissing { hindrance, .. }
            | Self::ColumnType { hindrance, .. }
            | Self::ColumnNull { hindrance, .. }
            | Self::NotPrimaryKey { hindrance, .. } => hindrance.as_deref(),
            Self::NoTable { .. } => Some("what it is for only its owner knows"),
            Self::TableMissing { .. } | Self::TableOwner { .. } | Self::ColumnDefault { .. } => {
                None
            }
        }
    }

    /// The SQL that mends it without losing anything, or why there is none.
    pub fn mend(&self, role: &str) -> Result<String, String> {
        if let Some(hindrance) = self.hindrance() {
            return Err(format!("{}, and {hindrance}", self.summary()));
        }
        let id = quote::sql_identifier;
        let alter = |table: &str, what: String| format!("ALTER TABLE {} {what};\n", id(table));
        Ok(match self {
            // The schema file itself makes what is missing.
            Self::TableMissing { .. } | Self::NoTable { .. } => String::new(),
            Self::TableOwner { table, .. } => alter(table, format!("OWNER TO {}", id(role))),
            Self::ColumnMissing { table, column, .. } => {
                alter(table, format!("ADD COLUMN {}", definition(column)))
            }
            Self::ColumnType { table, column, .. } => alter(
                table,
                format!(
                    "ALTER COLUMN {} TYPE {}",
                    id(&column.name),
                    column.data_type
                ),
            ),
            Self::ColumnNull { table, column, .. } => {
                let verb = if column.not_null { "SET" } else { "DROP" };
                alter(
                    table,
                    format!("ALTER COLUMN {} {verb} NOT NULL", id(&column.name)),
                )
            }
            Self::ColumnDefault { table, column, .. } => {
                let what = match &column.default {
                    Some(default) => format!("SET DEFAULT {default}"),
                    None => "DROP DEFAULT".to_owned(),
                };
                let sequence = column.default.as_deref().and_then(sequence);
                let made = sequence.map(|name| made_to_count(name, table, column, role));
                format!(
                    "{}{}",
                    made.unwrap_or_default(),
                    alter(table, format!("ALTER COLUMN {} {what}", id(&column.name)))
                )
            }
            Self::NotPrimaryKey { table, columns, .. } => {
                let columns: Vec<String> = columns.iter().map(|name| id(name)).collect();
                alter(table, format!("ADD PRIMARY KEY ({})", columns.join(", ")))
            }
        })
    }
}

/// Makes the sequence if it went with the default, and has it begin behind the rows that are there.
fn made_to_count(sequence: &str, table: &str, column: &Column, role: &str) -> String {
    let id = quote::sql_identifier;
    let (table, column) = (id(table), id(&column.name));
    format!(
        "SELECT to_regclass({name}) IS NULL AS is_gone \\gset\n\\if :is_gone\n\
         CREATE SEQUENCE {sequence};\nALTER SEQUENCE {sequence} OWNER TO {role};\n\
         ALTER SEQUENCE {sequence} OWNED BY {table}.{column};\n\\endif\n\
         SELECT setval({name}, greatest((SELECT max({column}) FROM {table}), last_value)) FROM {sequence}\n  \
         WHERE EXISTS (SELECT FROM {table}) \\g /dev/null\n",
        name = quote::sql(sequence),
        role = id(role),
    )
}

fn definition(column: &Column) -> String {
    let mut text = quote::sql_identifier(&column.name);
    match &column.default {
        // A serial column makes the sequence that its default names.
        Some(default) if counts(default) => text.push_str(match column.data_type.as_str() {
            "bigint" => " bigserial",
            "smallint" => " smallserial",
            _ => " serial",
        }),
        Some(default) => text.push_str(&format!(" {} DEFAULT {default}", column.data_type)),
        None => text.push_str(&format!(" {}", column.data_type)),
    }
    if column.not_null {
        text.push_str(" NOT NULL");
    }
    if column.primary_key {
        text.push_str(" PRIMARY KEY");
    }
    text
}
