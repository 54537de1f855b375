import java.sql.*;
import java.util.*;

/** pgjdbc: metadata as tools read it, prepared statements in both formats, pages of a thousand rows, cancelling. */
public class Jdbc {
    static void same(Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) throw new AssertionError(found + " is not " + wanted);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) values.add(rows.getString(name));
        return values;
    }

    public static void main(String[] arguments) throws Exception {
        int spans = Integer.parseInt(arguments[0]);
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/default?user=tester";
        try (Connection connection = DriverManager.getConnection(url)) {
            DatabaseMetaData metadata = connection.getMetaData();
            same(metadata.getDatabaseProductName(), "PostgreSQL");
            same(column(metadata.getTables(null, "public", "spans", new String[] {"TABLE"}), "TABLE_NAME"), List.of("spans"));
            same(column(metadata.getSchemas(), "TABLE_SCHEM").contains("public"), true);
            List<String> columns = column(metadata.getColumns(null, "public", "spans", "%"), "COLUMN_NAME");
            same(columns.contains("duration_nano"), true);
            try (ResultSet time = metadata.getColumns(null, "public", "spans", "time")) {
                time.next();
                same(List.of(time.getString("TYPE_NAME"), time.getInt("DATA_TYPE")), List.of("timestamptz", Types.TIMESTAMP));
            }
            same(column(metadata.getPrimaryKeys(null, "public", "spans"), "COLUMN_NAME"), List.of());
            same(column(metadata.getImportedKeys(null, "public", "spans"), "PKTABLE_NAME"), List.of());
            same(column(metadata.getIndexInfo(null, "public", "spans", false, true), "INDEX_NAME"), List.of());
            // Past the fifth run the driver prepares by name and asks for the binary format.
            try (PreparedStatement counted = connection.prepareStatement("SELECT count(*), max(time) FROM spans WHERE kind = ? AND service_name = ?")) {
                for (int run = 0; run < 10; run++) {
                    counted.setInt(1, 2);
                    counted.setString(2, "shop");
                    try (ResultSet rows = counted.executeQuery()) {
                        rows.next();
                        same(rows.getLong(1), (long) spans);
                        same(rows.getTimestamp(2).getTime() > 1_600_000_000_000L, true);
                    }
                }
            }
            connection.setAutoCommit(false);
            try (Statement paged = connection.createStatement()) {
                paged.setFetchSize(1000);
                Set<Integer> numbers = new HashSet<>();
                try (ResultSet rows = paged.executeQuery("SELECT attributes['test.number'] FROM spans")) {
                    while (rows.next()) numbers.add(rows.getInt(1));
                }
                same(numbers.size(), spans);
            }
            connection.commit();
            connection.setAutoCommit(true);
            try (Statement slow = connection.createStatement()) {
                slow.setQueryTimeout(1);
                slow.executeQuery("SELECT count(*) FROM spans a, spans b, spans c WHERE a.name <> b.trace_id");
                throw new AssertionError("it was not stopped");
            } catch (SQLException stopped) {
                same(stopped.getSQLState(), "57014");
            }
        }
        System.out.println("done");
    }
}
