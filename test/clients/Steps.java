// What the Java clients share: a step is run and told of in one JSON line.
import java.util.Objects;

class Steps {
    interface Work {
        // Returns what it believes to have written, as lines that 010_clients.pl compares with the tables.
        String[] run() throws Exception;
    }

    static String url() {
        return "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
    }

    static void step(String name, Work work) {
        String tell;
        try {
            StringBuilder facts = new StringBuilder();
            for (String fact : work.run())
                facts.append(facts.length() == 0 ? "" : ",").append(quote(fact));
            tell = "\"ok\":true,\"facts\":[" + facts + "]";
        } catch (Exception e) {
            Throwable cause = e;
            while (cause.getCause() != null)
                cause = cause.getCause();
            tell = "\"ok\":false,\"detail\":" + quote((e + (cause == e ? "" : " / " + cause)).split("\n")[0]);
        }
        System.out.println("{\"step\":" + quote(name) + "," + tell + "}");
    }

    private static String quote(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("\\p{Cntrl}", " ") + '"';
    }

    static void expect(Object value, Object wanted) {
        if (!Objects.equals(value, wanted))
            throw new IllegalStateException(value + " instead of " + wanted);
    }

    static String[] facts(String... facts) {
        return facts;
    }

    static String person(long id, String name, int version, Long department) {
        return "person " + id + " " + name + " v" + version + " " + (department == null ? "-" : department);
    }

    static String department(long id, String name) {
        return "department " + id + " " + name;
    }

    static String phone(long id, long person, String number) {
        return "phone " + id + " " + person + " " + number;
    }

    static String gone(long id) {
        return "no person " + id;
    }
}
