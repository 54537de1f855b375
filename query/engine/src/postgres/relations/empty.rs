//! Tables of things that we have none of: indexes, constraints, triggers, policies and the like.
//!
//! They have the columns that clients join by, filter by and show.

use super::{INFORMATION_SCHEMA, PG_CATALOG, Relation};

const fn none(name: &'static str, columns: &'static str) -> Relation {
    Relation { schema: PG_CATALOG, name, columns, rows: None }
}

const fn of_standard(name: &'static str, columns: &'static str) -> Relation {
    Relation { schema: INFORMATION_SCHEMA, name, columns, rows: None }
}

#[rustfmt::skip]
pub const ALL: [Relation; 67] = [
    none("pg_attrdef", "oid oid, adrelid oid, adnum int2, adbin text"),
    none("pg_index", "indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, indisunique bool, indnullsnotdistinct bool, indisprimary bool, indisexclusion bool, indimmediate bool, indisclustered bool, indisvalid bool, indcheckxmin bool, indisready bool, indislive bool, indisreplident bool, indkey int2[], indcollation oid[], indclass oid[], indoption int2[], indexprs text, indpred text"),
    none("pg_indexes", "schemaname name, tablename name, indexname name, tablespace name, indexdef text"),
    none("pg_constraint", "oid oid, conname name, connamespace oid, contype char, condeferrable bool, condeferred bool, convalidated bool, conrelid oid, contypid oid, conindid oid, conparentid oid, confrelid oid, confupdtype char, confdeltype char, confmatchtype char, conislocal bool, coninhcount int2, connoinherit bool, conkey int2[], confkey int2[], conpfeqop oid[], conppeqop oid[], conffeqop oid[], confdelsetcols int2[], conexclop oid[], conbin text"),
    none("pg_inherits", "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool"),
    none("pg_trigger", "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, tgenabled char, tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, tgattr int2[], tgargs text, tgqual text, tgoldtable name, tgnewtable name"),
    none("pg_event_trigger", "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, evttags text[]"),
    none("pg_rewrite", "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, is_instead bool, ev_qual text, ev_action text"),
    none("pg_rules", "schemaname name, tablename name, rulename name, definition text"),
    none("pg_policy", "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles oid[], polqual text, polwithcheck text"),
    none("pg_policies", "schemaname name, tablename name, policyname name, permissive text, roles text[], cmd text, qual text, with_check text"),
    none("pg_statistic_ext", "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget int2, stxkeys int2[], stxkind text[], stxexprs text"),
    none("pg_statistic", "starelid oid, staattnum int2, stainherit bool, stanullfrac float4, stawidth int4, stadistinct float4"),
    none("pg_stats", "schemaname name, tablename name, attname name, inherited bool, null_frac float4, avg_width int4, n_distinct float4"),
    none("pg_publication", "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, pubdelete bool, pubtruncate bool, pubviaroot bool"),
    none("pg_publication_rel", "oid oid, prpubid oid, prrelid oid, prqual text, prattrs int2[]"),
    none("pg_publication_namespace", "oid oid, pnpubid oid, pnnspid oid"),
    none("pg_publication_tables", "pubname name, schemaname name, tablename name"),
    none("pg_subscription", "oid oid, subdbid oid, subname name, subowner oid, subenabled bool"),
    none("pg_views", "schemaname name, viewname name, viewowner name, definition text"),
    none("pg_matviews", "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes bool, ispopulated bool, definition text"),
    none("pg_sequence", "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin int8, seqcache int8, seqcycle bool"),
    none("pg_sequences", "schemaname name, sequencename name, sequenceowner name, data_type oid, start_value int8, min_value int8, max_value int8, increment_by int8, cycle bool, cache_size int8, last_value int8"),
    none("pg_enum", "oid oid, enumtypid oid, enumsortorder float4, enumlabel name"),
    none("pg_range", "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, rngcanonical text, rngsubdiff text"),
    none("pg_extension", "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, extversion text, extconfig oid[], extcondition text[]"),
    none("pg_available_extensions", "name name, default_version text, installed_version text, comment text"),
    none("pg_depend", "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid int4, deptype char"),
    none("pg_shdepend", "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, deptype char"),
    none("pg_shdescription", "objoid oid, classoid oid, description text"),
    none("pg_seclabel", "objoid oid, classoid oid, objsubid int4, provider text, label text"),
    none("pg_auth_members", "oid oid, roleid oid, member oid, grantor oid, admin_option bool, inherit_option bool, set_option bool"),
    none("pg_db_role_setting", "setdatabase oid, setrole oid, setconfig text[]"),
    none("pg_default_acl", "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl text[]"),
    none("pg_tablespace", "oid oid, spcname name, spcowner oid, spcacl text[], spcoptions text[]"),
    none("pg_foreign_table", "ftrelid oid, ftserver oid, ftoptions text[]"),
    none("pg_foreign_server", "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text, srvversion text, srvacl text[], srvoptions text[]"),
    none("pg_foreign_data_wrapper", "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl text[], fdwoptions text[]"),
    none("pg_user_mappings", "umid oid, srvid oid, srvname name, umuser oid, usename name, umoptions text[]"),
    none("pg_partitioned_table", "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2[], partclass oid[], partcollation oid[], partexprs text"),
    none("pg_aggregate", "aggfnoid oid, aggkind char, aggnumdirectargs int2"),
    none("pg_operator", "oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, oprleft oid, oprright oid, oprresult oid, oprcode text"),
    none("pg_opclass", "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, opcfamily oid, opcintype oid, opcdefault bool, opckeytype oid"),
    none("pg_cast", "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, castmethod char"),
    none("pg_conversion", "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, contoencoding int4, conproc text, condefault bool"),
    // There is one order of texts, and nothing to choose.
    none("pg_collation", "oid oid, collname name, collnamespace oid, collowner oid, collprovider char, collisdeterministic bool, collencoding int4, collcollate text, collctype text, colliculocale text, collicurules text, collversion text"),
    none("pg_opfamily", "oid oid, opfmethod oid, opfname name, opfnamespace oid, opfowner oid"),
    none("pg_amop", "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, amoppurpose char, amopopr oid, amopmethod oid, amopsortfamily oid"),
    none("pg_amproc", "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, amprocnum int2, amproc text"),
    none("pg_ts_dict", "oid oid, dictname name, dictnamespace oid, dictowner oid, dicttemplate oid, dictinitoption text"),
    none("pg_ts_parser", "oid oid, prsname name, prsnamespace oid, prsstart text, prstoken text, prsend text, prsheadline text, prslextype text"),
    none("pg_ts_template", "oid oid, tmplname name, tmplnamespace oid, tmplinit text, tmpllexize text"),
    none("pg_largeobject_metadata", "oid oid, lomowner oid, lomacl text[]"),
    none("pg_ts_config", "oid oid, cfgname name, cfgnamespace oid, cfgowner oid, cfgparser oid"),
    none("pg_get_keywords", "word text, catcode char, barelabel bool, catdesc text, baredesc text"),
    none("pg_locks", "locktype text, database oid, relation oid, pid int4, mode text, granted bool"),
    none("pg_prepared_statements", "name text, statement text, from_sql bool"),
    none("pg_replication_slots", "slot_name name, plugin name, slot_type text, datoid oid, database name, active bool"),
    none("pg_stat_user_tables", "relid oid, schemaname name, relname name, seq_scan int8, n_live_tup int8"),
    of_standard("views", "table_catalog name, table_schema name, table_name name, view_definition text, check_option text, is_updatable text, is_insertable_into text"),
    of_standard("table_constraints", "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, table_schema name, table_name name, constraint_type text, is_deferrable text, initially_deferred text, enforced text"),
    of_standard("key_column_usage", "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, table_schema name, table_name name, column_name name, ordinal_position int4, position_in_unique_constraint int4"),
    of_standard("constraint_column_usage", "table_catalog name, table_schema name, table_name name, column_name name, constraint_catalog name, constraint_schema name, constraint_name name"),
    of_standard("referential_constraints", "constraint_catalog name, constraint_schema name, constraint_name name, unique_constraint_catalog name, unique_constraint_schema name, unique_constraint_name name, match_option text, update_rule text, delete_rule text"),
    of_standard("sequences", "sequence_catalog name, sequence_schema name, sequence_name name, data_type text, start_value text, minimum_value text, maximum_value text, increment text, cycle_option text"),
    of_standard("triggers", "trigger_catalog name, trigger_schema name, trigger_name name, event_manipulation text, event_object_catalog name, event_object_schema name, event_object_table name"),
    of_standard("role_table_grants", "grantor name, grantee name, table_catalog name, table_schema name, table_name name, privilege_type text, is_grantable text, with_hierarchy text"),
];
