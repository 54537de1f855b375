//! Functions that give a set of rows, where they stand for a table or for a column.
//!
//! | PostgreSQL | the engine |
//! |---|---|
//! | `FROM generate_series(1, 3) AS i` | `FROM (SELECT unnest(generate_series(1, 3)) AS i) AS i` |
//! | `FROM unnest(a) WITH ORDINALITY AS t(x, n)` | `FROM (SELECT unnest(a) AS x, unnest(generate_series(1, cardinality(a))) AS n) AS t` |
//! | `SELECT generate_series(1, 3)` | `SELECT unnest(generate_series(1, 3))` |

use datafusion::sql::sqlparser::ast::{Expr, Ident, Select, SelectItem, TableAlias, TableFactor};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::casts::call;
use super::emptied::names_of;
use crate::text_guard::NESTING_MAX;

/// Functions that give a set of rows where they stand for a table.
pub const SETS: [&str; 4] = ["generate_series", "string_to_array", "unnest", "current_schemas"];

/// The sub-query that a function in FROM is.
pub fn set_of_rows(table: &TableFactor) -> Option<TableFactor> {
    let (function, args, alias, has_ordinality) = match table {
        TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
            let function = names_of(name).pop().filter(|name| SETS.contains(&name.as_str()))?;
            let args = args.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            (function, args, alias, *with_ordinality)
        }
        // The engine has this one, without numbers.
        TableFactor::UNNEST { array_exprs, alias, with_ordinality: true, .. } if array_exprs.len() == 1 => {
            ("unnest".to_owned(), array_exprs[0].to_string(), alias, true)
        }
        _ => return None,
    };
    let alias_name = alias.as_ref().map_or_else(|| Ident::new(&function), |alias| alias.name.clone());
    let mut columns = alias.iter().flat_map(|alias| &alias.columns).map(|column| &column.name);
    let column = columns.next().unwrap_or(&alias_name);
    // An array that is no set of rows stands for itself, as PostgreSQL's functions of one value do.
    let (value, array) = match function.as_str() {
        "generate_series" => (format!("unnest(generate_series({args}))"), format!("generate_series({args})")),
        "unnest" => (format!("unnest({args})"), args),
        _ => (format!("{function}({args})"), format!("make_array({function}({args}))")),
    };
    let mut sql = format!("SELECT {value} AS {column}");
    if has_ordinality {
        let number = columns.next().cloned().unwrap_or_else(|| Ident::new("ordinality"));
        sql = format!("{sql}, unnest(generate_series(1, cardinality({array}))) AS {number}");
    }
    let mut parser =
        Parser::new(&PostgreSqlDialect {}).with_recursion_limit(NESTING_MAX).try_with_sql(&sql).ok()?;
    let subquery = parser.parse_query().ok()?;
    let mut derived = TableFactor::Derived { lateral: false, subquery, alias: alias.clone(), sample: None };
    if let TableFactor::Derived { alias, .. } = &mut derived {
        *alias = Some(TableAlias { explicit: true, name: alias_name, columns: Vec::new(), at: None });
    }
    Some(derived)
}

/// Makes rows of a set that is a column.
pub fn rows_of_columns(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
            && let Expr::Function(function) = &*expr
            && names_of(&function.name) == ["generate_series"]
        {
            *expr = call("unnest", vec![expr.clone()]);
        }
    }
}
