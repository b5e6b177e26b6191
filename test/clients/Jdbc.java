// The JDBC driver: executeUpdate's counts, getGeneratedKeys, executeBatch.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

public class Jdbc {
    private static Connection connection;
    private static long key;

    // Inserts one row and returns the key that the driver says was generated.
    private static long insert(String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 0; i < values.length; i++)
                statement.setObject(i + 1, values[i]);
            Steps.expect(statement.executeUpdate(), 1);
            try (ResultSet keys = statement.getGeneratedKeys()) {
                keys.next();
                return keys.getLong("id");
            }
        }
    }

    private static void call(String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery(sql).close();
        }
    }

    private static String[] create() throws SQLException {
        key = insert("INSERT INTO person (name) VALUES (?)", "Ada");
        return Steps.facts(Steps.person(key, "Ada", 1, null));
    }

    private static String[] read() throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT name FROM person WHERE id = ?")) {
            statement.setLong(1, key);
            try (ResultSet rows = statement.executeQuery()) {
                Steps.expect(rows.next(), true);
                Steps.expect(rows.getString("name"), "Ada");
            }
        }
        return Steps.facts();
    }

    private static String[] change(long id, String name) throws SQLException {
        String sql = "UPDATE person SET name = ?, version = version + 1 WHERE id = ? AND version = ?";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, name);
            statement.setLong(2, id);
            statement.setInt(3, 1);
            Steps.expect(statement.executeUpdate(), 1);
        }
        return Steps.facts(Steps.person(id, name, 2, null));
    }

    private static String[] again() throws SQLException {
        return change(key, "Ida");
    }

    private static String[] update() throws SQLException {
        return change(1, "Updated");
    }

    private static String[] delete() throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("DELETE FROM person WHERE id = ?")) {
            statement.setLong(1, 2);
            Steps.expect(statement.executeUpdate(), 1);
        }
        return Steps.facts(Steps.gone(2));
    }

    private static String[] bulk() throws SQLException {
        String[] facts = {"Bob", "Cy", "Di"};
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO person (name) VALUES (?)",
                                                                       Statement.RETURN_GENERATED_KEYS)) {
            for (String name : facts) {
                statement.setString(1, name);
                statement.addBatch();
            }
            for (int count : statement.executeBatch())
                Steps.expect(count, 1);
            try (ResultSet keys = statement.getGeneratedKeys()) {
                for (int i = 0; i < facts.length; i++) {
                    keys.next();
                    facts[i] = Steps.person(keys.getLong("id"), facts[i], 1, null);
                }
            }
        }
        return facts;
    }

    private static String[] child() throws SQLException {
        long parent = insert("INSERT INTO department (name) VALUES (?)", "Tools");
        long id = insert("INSERT INTO person (name, department_id) VALUES (?, ?)", "Eve", parent);
        return Steps.facts(Steps.department(parent, "Tools"), Steps.person(id, "Eve", 1, parent));
    }

    private static String[] request() throws SQLException {
        call("SELECT idflow.begin_request('Flo and her phone')");
        long parent = insert("INSERT INTO person (name) VALUES (?)", "Flo");
        long id = insert("INSERT INTO phone (person_id, number) VALUES (?, ?)", parent, "555");
        call("SELECT idflow.submit(idflow.last_request())");
        return Steps.facts(Steps.person(parent, "Flo", 1, null), Steps.phone(id, parent, "555"));
    }

    private static void step(String name, Steps.Work work) throws SQLException {
        Steps.step(name, () -> {
            String[] facts = work.run();
            connection.commit();
            return facts;
        });
        connection.rollback();
    }

    public static void main(String[] args) throws SQLException {
        connection = DriverManager.getConnection(Steps.url(), System.getenv("PGUSER"), "");
        connection.setAutoCommit(false);
        step("create", Jdbc::create);
        step("read", Jdbc::read);
        step("again", Jdbc::again);
        step("update", Jdbc::update);
        step("delete", Jdbc::delete);
        step("bulk", Jdbc::bulk);
        step("child", Jdbc::child);
        step("request", Jdbc::request);
        connection.close();
    }
}
