//! Types.

use super::classes::{DEFAULT_COLLATION, OWNER};
use super::{PG_CATALOG, Relation, Rows, row, schema_oid};
use crate::postgres::cell::Cell;
use crate::postgres::known::Facts;
use crate::postgres::postgres_type::{Described, Scalar};

pub const ALL: [Relation; 1] = [Relation::new(
    PG_CATALOG,
    "pg_type",
    "oid oid, typname name, typnamespace oid, typowner oid, typlen int2, typbyval bool, typtype char, \
     typcategory char, typispreferred bool, typisdefined bool, typdelim char, typrelid oid, typsubscript text, \
     typelem oid, typarray oid, typinput text, typoutput text, typreceive text, typsend text, typmodin text, \
     typmodout text, typanalyze text, typalign char, typstorage char, typnotnull bool, typbasetype oid, \
     typtypmod int4, typndims int4, typcollation oid, typdefaultbin text, typdefault text, typacl text[]",
    rows,
)];

/// Types that no column has and clients ask for by name or number all the same: (oid, array, name, bytes, category,
/// kind). Source: PostgreSQL 16, `src/include/catalog/pg_type.dat`.
pub const OTHERS: [(i32, i32, &str, i32, &str, &str); 48] = [
    (24, 1_008, "regproc", 4, "N", "b"),
    (27, 1_010, "tid", 6, "U", "b"),
    (28, 1_011, "xid", 4, "U", "b"),
    (29, 1_012, "cid", 4, "U", "b"),
    (114, 199, "json", -1, "U", "b"),
    (142, 143, "xml", -1, "U", "b"),
    (600, 1_017, "point", 16, "G", "b"),
    (602, 1_019, "path", -1, "G", "b"),
    (604, 1_027, "polygon", -1, "G", "b"),
    (650, 651, "cidr", -1, "I", "b"),
    (705, 0, "unknown", -2, "X", "p"),
    (718, 719, "circle", 24, "G", "b"),
    (774, 775, "macaddr8", 8, "U", "b"),
    (790, 791, "money", 8, "N", "b"),
    (829, 1_040, "macaddr", 6, "U", "b"),
    (869, 1_041, "inet", -1, "I", "b"),
    (1_042, 1_014, "bpchar", -1, "S", "b"),
    (1_043, 1_015, "varchar", -1, "S", "b"),
    (1_266, 1_270, "timetz", 12, "D", "b"),
    (1_560, 1_561, "bit", -1, "V", "b"),
    (1_562, 1_563, "varbit", -1, "V", "b"),
    (1_790, 2_201, "refcursor", -1, "U", "b"),
    (2_202, 2_207, "regprocedure", 4, "N", "b"),
    (2_203, 2_208, "regoper", 4, "N", "b"),
    (2_204, 2_209, "regoperator", 4, "N", "b"),
    (2_205, 2_210, "regclass", 4, "N", "b"),
    (2_206, 2_211, "regtype", 4, "N", "b"),
    (2_249, 2_287, "record", -1, "P", "p"),
    (2_275, 1_263, "cstring", -2, "P", "p"),
    (2_276, 0, "any", 4, "P", "p"),
    (2_277, 0, "anyarray", -1, "P", "p"),
    (2_278, 0, "void", 4, "P", "p"),
    (2_279, 0, "trigger", 4, "P", "p"),
    (2_281, 0, "internal", 8, "P", "p"),
    (2_283, 0, "anyelement", 4, "P", "p"),
    (2_776, 0, "anynonarray", 4, "P", "p"),
    (2_950, 2_951, "uuid", 16, "U", "b"),
    (3_500, 0, "anyenum", 4, "P", "p"),
    (3_614, 3_643, "tsvector", -1, "U", "b"),
    (3_615, 3_645, "tsquery", -1, "U", "b"),
    (3_734, 3_735, "regconfig", 4, "N", "b"),
    (3_769, 3_770, "regdictionary", 4, "N", "b"),
    (3_831, 0, "anyrange", -1, "P", "p"),
    (3_838, 0, "event_trigger", 4, "P", "p"),
    (4_072, 4_073, "jsonpath", -1, "U", "b"),
    (4_089, 4_090, "regnamespace", 4, "N", "b"),
    (4_096, 4_097, "regrole", 4, "N", "b"),
    (4_191, 4_192, "regcollation", 4, "N", "b"),
];

/// Numbers of the functions that read and write types, in the range that PostgreSQL leaves to its own set-up.
const FIRST_CONVERSION_OID: i32 = 14_000;

/// The functions that read and write types, by number and name: drivers join types with them.
pub fn conversions() -> impl Iterator<Item = (i32, String)> {
    let spoken = Scalar::ALL.into_iter().map(|scalar| scalar.described().name);
    let names = spoken.chain(OTHERS.iter().map(|(_, _, name, ..)| *name)).chain(["array", "record"]);
    let stems: std::collections::BTreeSet<String> = names.map(stem_of).collect();
    let names =
        stems.into_iter().flat_map(|stem| ["in", "out", "recv", "send"].map(|end| format!("{stem}{end}")));
    (FIRST_CONVERSION_OID..).zip(names)
}

/// What the names of a type's functions begin with.
fn stem_of(name: &str) -> String {
    format!("{name}{}", if has_underscore(name) { "_" } else { "" })
}

fn rows(facts: &Facts) -> Rows {
    let spoken = Scalar::ALL.into_iter().flat_map(|scalar| {
        let Described { oid, array_oid, name, bytes, category, .. } = scalar.described();
        let (oid, array) = (i64::from(oid), i64::from(array_oid));
        let collation = if category == 'S' { DEFAULT_COLLATION } else { 0 };
        let receive = format!("{}recv", stem_of(name));
        let one = line(oid, name, bytes.into(), &category.to_string(), "b", (0, array), &receive, collation);
        [one, array_line(oid, array, name)]
    });
    let others = OTHERS.iter().flat_map(|(oid, array, name, bytes, category, kind)| {
        let receive = format!("{}recv", stem_of(name));
        let (oid, array) = (i64::from(*oid), i64::from(*array));
        let one = line(oid, name, *bytes, category, kind, (0, array), &receive, 0);
        let many = (array > 0).then(|| array_line(oid, array, name));
        std::iter::once(one).chain(many)
    });
    let tables = facts.known.tables.iter().map(|table| {
        let mut row = line(table.row_type_oid.into(), table.name, -1, "C", "c", (0, 0), "record_recv", 0);
        row[2] = schema_oid(super::PUBLIC).into();
        row[11] = table.oid.into();
        row
    });
    spoken.chain(others).chain(tables).collect()
}

fn array_line(element: i64, oid: i64, name: &str) -> Vec<Cell> {
    line(oid, &format!("_{name}"), -1, "A", "b", (element, 0), "array_recv", 0)
}

/// `elements` are what an array consists of, and the array of this type.
#[expect(clippy::too_many_arguments, reason = "a row of a table has as many values as it has")]
fn line(
    oid: i64,
    name: &str,
    bytes: i32,
    category: &str,
    kind: &str,
    elements: (i64, i64),
    receive: &str,
    collation: i32,
) -> Vec<Cell> {
    let stem = receive.strip_suffix("recv").unwrap_or(receive);
    let by_value = (1..=8).contains(&bytes);
    let subscript = if elements.0 > 0 { "array_subscript_handler" } else { "-" };
    row![
        oid,
        name,
        schema_oid(PG_CATALOG),
        OWNER,
        bytes,
        by_value,
        kind,
        category,
        matches!(name, "bool" | "text" | "float8" | "oid" | "timestamptz" | "interval"),
        true,
        ",",
        0,
        subscript,
        elements.0,
        elements.1,
        format!("{stem}in"),
        format!("{stem}out"),
        receive,
        format!("{stem}send"),
        "-",
        "-",
        "-",
        "i",
        if by_value { "p" } else { "x" },
        false,
        0,
        -1,
        0,
        collation,
    ]
}

/// Functions of the older types have names without an underscore. Source: as above.
fn has_underscore(name: &str) -> bool {
    const OLDER: [&str; 20] = [
        "bool",
        "bytea",
        "char",
        "name",
        "int8",
        "int2",
        "int4",
        "text",
        "oid",
        "float4",
        "float8",
        "tid",
        "xid",
        "cid",
        "int2vector",
        "oidvector",
        "regproc",
        "unknown",
        "bpchar",
        "varchar",
    ];
    !OLDER.contains(&name) && !matches!(name, "regclass" | "regtype")
}
