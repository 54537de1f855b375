// Asks a meshlake with the JDBC driver of Arrow Flight SQL, as Java's programs and desktop tools do.
//
// Usage: java -cp DRIVER FlightJdbc.java HOST:PORT. Prints `all of it` when everything was as it has to be.

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.HashSet;
import java.util.Set;

public class FlightJdbc {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:arrow-flight-sql://" + arguments[0] + "/?useEncryption=false&x-scope-orgid=default";
        try (Connection connection = DriverManager.getConnection(url)) {
            everyColumn(connection);
            everyTypeAndNull(connection);
            parameters(connection);
            errors(connection);
            metadata(connection);
        }
        System.out.println("all of it");
    }

    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void everyColumn(Connection connection) throws SQLException {
        for (String table : new String[] {"spans", "requests", "traces", "metric_points", "ledger"}) {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery("SELECT * FROM " + table + " LIMIT 20")) {
                ResultSetMetaData columns = rows.getMetaData();
                int count = 0;
                for (; rows.next(); count++) {
                    for (int column = 1; column <= columns.getColumnCount(); column++) {
                        value(rows, columns, column);
                    }
                }
                check(count > 0, table);
            }
        }
    }

    // This driver has no object for times with a zone, nor for maps.
    static Object value(ResultSet rows, ResultSetMetaData columns, int column) throws SQLException {
        switch (columns.getColumnType(column)) {
            case Types.TIMESTAMP_WITH_TIMEZONE:
                return rows.getTimestamp(column);
            case Types.JAVA_OBJECT:
                return rows.getString(column);
            default:
                return rows.getObject(column);
        }
    }

    static void everyTypeAndNull(Connection connection) throws SQLException {
        String sql = "SELECT 1 AS i, 1.5 AS d, TRUE AS b, 'größe' AS t, DATE '2026-11-29' AS day, "
                + "TIMESTAMP '2026-11-29T01:02:03' AS at, [1, 2] AS l, CAST(NULL AS BIGINT) AS none, 9223372036854775807 AS big";
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery(sql)) {
            check(row.next(), "a row");
            check(row.getLong("i") == 1 && row.getDouble("d") == 1.5 && row.getBoolean("b"), "numbers");
            check(row.getString("t").equals("größe"), row.getString("t"));
            check(row.getDate("day").toString().equals("2026-11-29"), row.getDate("day"));
            check(row.getTimestamp("at") != null && row.getObject("l") != null, "time and list");
            check(row.getLong("none") == 0 && row.wasNull(), "null");
            check(row.getLong("big") == Long.MAX_VALUE, row.getLong("big"));
            check(!row.next(), "one row");
        }
    }

    static void parameters(Connection connection) throws SQLException {
        long want = one(connection, "SELECT count(*) FROM spans WHERE kind = 2 AND name <> 'x'");
        check(want > 0, want);
        String sql = "SELECT count(*) FROM spans WHERE kind = ? AND name <> ?";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (String name : new String[] {"x", "y"}) {
                statement.setInt(1, 2);
                statement.setString(2, name);
                try (ResultSet rows = statement.executeQuery()) {
                    check(rows.next() && rows.getLong(1) == want, "two parameters");
                }
            }
        }
    }

    static long one(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            check(rows.next(), sql);
            return rows.getLong(1);
        }
    }

    static void errors(Connection connection) throws SQLException {
        for (String sql : new String[] {"SELEC 1", "SELECT no_such FROM spans", "DELETE FROM spans"}) {
            try {
                one(connection, sql);
            } catch (SQLException refused) {
                continue;
            }
            throw new AssertionError(sql);
        }
        check(one(connection, "SELECT 1") == 1, "the connection lives");
    }

    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData about = connection.getMetaData();
        check(about.getDatabaseProductName().equals("Meshlake") && about.isReadOnly(), about.getDatabaseProductName());
        Set<String> tables = new HashSet<>();
        try (ResultSet rows = about.getTables(null, null, "%", null)) {
            while (rows.next()) {
                tables.add(rows.getString("TABLE_NAME"));
            }
        }
        check(tables.contains("spans") && tables.contains("requests"), tables);
        int columns = 0;
        try (ResultSet rows = about.getColumns(null, "public", "spans", "%")) {
            for (; rows.next(); columns++) {
                check(rows.getString("TABLE_NAME").equals("spans"), "a column of another table");
            }
        }
        check(columns > 50, columns);
        try (ResultSet keys = about.getPrimaryKeys(null, "public", "spans")) {
            check(!keys.next(), "there are no keys");
        }
    }
}
