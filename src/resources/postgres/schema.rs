//! The declared tables against the catalogue's.

use super::facts::{ObservedColumn, ObservedTable};
use crate::quote;
use crate::workshop::{Column, Table};

/// One way in which a table is not as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaDrift {
    TableMissing {
        table: String,
    },
    TableOwner {
        table: String,
        owner: String,
    },
    ColumnMissing {
        table: String,
        column: Column,
    },
    ColumnType {
        table: String,
        column: Column,
        found: String,
    },
    ColumnNull {
        table: String,
        column: Column,
    },
    ColumnDefault {
        table: String,
        column: Column,
        found: Option<String>,
    },
    NotPrimaryKey {
        table: String,
        column: Column,
    },
}

/// Every difference, in the order of the declaration. Columns and tables that somebody added are theirs.
#[must_use]
pub fn differences(declared: &[Table], observed: &[ObservedTable], role: &str) -> Vec<SchemaDrift> {
    let mut drifts = Vec::new();
    for table in declared {
        let name = table.name.clone();
        match observed.iter().find(|other| other.name == table.name) {
            None => drifts.push(SchemaDrift::TableMissing { table: name }),
            Some(other) => {
                if other.owner != role {
                    drifts.push(SchemaDrift::TableOwner {
                        table: name,
                        owner: other.owner.clone(),
                    });
                }
                for column in &table.columns {
                    drifts.extend(column_differences(table, column, &other.columns));
                }
            }
        }
    }
    drifts
}

fn column_differences(
    table: &Table,
    column: &Column,
    observed: &[ObservedColumn],
) -> Vec<SchemaDrift> {
    let table = table.name.clone();
    let Some(found) = observed.iter().find(|other| other.name == column.name) else {
        let column = column.clone();
        return vec![SchemaDrift::ColumnMissing { table, column }];
    };
    let mut drifts = Vec::new();
    if found.data_type != column.data_type {
        drifts.push(SchemaDrift::ColumnType {
            table: table.clone(),
            column: column.clone(),
            found: found.data_type.clone(),
        });
    }
    if found.default != column.default {
        drifts.push(SchemaDrift::ColumnDefault {
            table: table.clone(),
            column: column.clone(),
            found: found.default.clone(),
        });
    }
    if found.not_null != column.not_null {
        drifts.push(SchemaDrift::ColumnNull {
            table: table.clone(),
            column: column.clone(),
        });
    }
    if column.primary_key && !found.primary_key {
        let column = column.clone();
        drifts.push(SchemaDrift::NotPrimaryKey { table, column });
    }
    drifts
}

impl SchemaDrift {
    #[must_use]
    pub fn table(&self) -> &str {
        match self {
            Self::TableMissing { table }
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
            Self::TableOwner { table, owner } => format!("the table {table} belongs to {owner}"),
            Self::ColumnMissing { table, column } => {
                format!("the column {table}.{} is missing", column.name)
            }
            Self::ColumnType {
                table,
                column,
                found,
            } => format!(
                "the column {table}.{} is of type {found}, not {}",
                column.name, column.data_type
            ),
            Self::ColumnNull { table, column } if column.not_null => {
                format!("the column {table}.{} may be null", column.name)
            }
            Self::ColumnNull { table, column } => {
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
            Self::NotPrimaryKey { table, column } => {
                format!("the column {table}.{} is not the primary key", column.name)
            }
        }
    }

    /// The SQL that mends it without losing anything, or why there is none.
    pub fn mend(&self, role: &str) -> Result<String, String> {
        let id = quote::sql_identifier;
        let alter = |table: &str, what: String| format!("ALTER TABLE {} {what};\n", id(table));
        Ok(match self {
            // The schema file itself makes what is missing.
            Self::TableMissing { .. } => String::new(),
            Self::TableOwner { table, .. } => alter(table, format!("OWNER TO {}", id(role))),
            Self::ColumnMissing { table, column } => {
                alter(table, format!("ADD COLUMN {}", definition(column)))
            }
            Self::ColumnType { table, column, .. } if column.data_type == "text" => alter(
                table,
                format!("ALTER COLUMN {} TYPE text", id(&column.name)),
            ),
            Self::ColumnType { .. } => {
                return Err(format!(
                    "{}, and turning one into the other could lose what is in the rows",
                    self.summary()
                ));
            }
            Self::ColumnNull { table, column } => {
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
                alter(table, format!("ALTER COLUMN {} {what}", id(&column.name)))
            }
            Self::NotPrimaryKey { table, column } => {
                alter(table, format!("ADD PRIMARY KEY ({})", id(&column.name)))
            }
        })
    }
}

fn definition(column: &Column) -> String {
    let counts = |default: &String| default.starts_with("nextval(");
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
