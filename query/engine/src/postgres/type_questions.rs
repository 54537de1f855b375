//! What drivers ask about types, where our catalogue tells it otherwise than PostgreSQL's.
//!
//! The columns of `pg_type` that name its functions are names here and numbers there, and of some kinds of types there
//! are none.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    SelectItem, SetExpr, Value,
};

use super::casts::call;
use super::relations::is_oid;

/// Our function that says that an array is one of oids.
pub const OID_ARRAY: &str = "oid_array";

/// Functions of a type are known by their names here: `typreceive = 0` asks whether there is none, and others compare
/// them with the number of one that they know by its name.
pub fn compare_procedures(left: &mut Expr, right: &mut Expr) {
    const COLUMNS: [&str; 6] =
        ["typinput", "typoutput", "typreceive", "typsend", "typanalyze", "typsubscript"];
    let is_procedure =
        |expr: &Expr| last_name(expr).is_some_and(|name| COLUMNS.contains(&name.value.as_str()));
    // `proc.oid = typ.typreceive`
    let (of_left, of_right) = (is_procedure(left), is_procedure(right));
    let number = if of_right { &mut *left } else { &mut *right };
    if (of_left || of_right)
        && let Expr::CompoundIdentifier(names) = number
        && let Some(name) = names.last_mut().filter(|name| name.value == "oid")
    {
        name.value = "proname".to_owned();
        return;
    }
    if !of_left {
        return;
    }
    let name = match right {
        Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "0") => {
            "-".to_owned()
        }
        // `'pg_catalog.array_in'::regproc`, which has become a call.
        Expr::Function(function) if function.name.to_string() == "regproc" => {
            let FunctionArguments::List(list) = &function.args else { return };
            let name = list.args.first().map(ToString::to_string).unwrap_or_default();
            let name = name.trim_matches('\'');
            name.rsplit_once('.').map_or(name, |(_, name)| name).to_owned()
        }
        _ => return,
    };
    *right = Expr::Value(Value::SingleQuotedString(name).into());
}

fn last_name(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    }
}

/// Whether types of a kind are asked for that there are none of: domains, enums, ranges. What is told of them alone
/// need not be planned then.
pub fn asks_for_absent_type(left: &Expr, op: &BinaryOperator, right: &Expr) -> bool {
    let is_kind = last_name(left).is_some_and(|name| name.value == "typtype") && *op == BinaryOperator::Eq;
    let Expr::Value(value) = right else { return false };
    let Value::SingleQuotedString(kind) = &value.value else { return false };
    is_kind && matches!(kind.as_str(), "d" | "e" | "r" | "m")
}

/// `array_agg(x)` as an array of oids, where x is one: the engine makes numbers of them, and a driver that asks what a
/// type consists of would then ask what an array of numbers is, and so on.
pub fn list_of_oids(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(element))] = list.args.as_slice() else { return None };
    let is_list = function.name.to_string() == "array_agg" && function.over.is_none();
    let is_of_oids = last_name(element).is_some_and(|name| is_oid(&name.value));
    (is_list && is_of_oids).then(|| call(OID_ARRAY, vec![Expr::Function(function.clone())]))
}

/// Whether such an array is a result of CASE, which hides what it is.
pub fn gives_oids(conditions: &[CaseWhen], otherwise: Option<&Expr>) -> bool {
    let mut results = conditions.iter().map(|condition| &condition.result).chain(otherwise);
    results.any(|result| match result {
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => {
                    is_oid_array(expr)
                }
                _ => false,
            },
            _ => false,
        },
        result => is_oid_array(result),
    })
}

fn is_oid_array(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if function.name.to_string() == OID_ARRAY)
}
