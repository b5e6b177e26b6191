// Hibernate: Session.save with an identity, get and refresh, @Version, delete, cascades.
import java.util.ArrayList;
import java.util.List;
import javax.persistence.CascadeType;
import javax.persistence.Column;
import javax.persistence.Entity;
import javax.persistence.GeneratedValue;
import javax.persistence.GenerationType;
import javax.persistence.Id;
import javax.persistence.JoinColumn;
import javax.persistence.ManyToOne;
import javax.persistence.OneToMany;
import javax.persistence.Table;
import javax.persistence.Version;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.Transaction;
import org.hibernate.cfg.Configuration;

public class HibernateOrm {
    @Entity @Table(name = "department")
    public static class Department {
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) public Long id;
        public String name;
    }

    @Entity @Table(name = "person")
    public static class Person {
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) public Long id;
        public String name;
        @Version public int version;
        @ManyToOne @JoinColumn(name = "department_id") public Department department;
        @OneToMany(mappedBy = "person", cascade = CascadeType.ALL) public List<Phone> phones = new ArrayList<Phone>();

        public Person() {
        }

        Person(String name) {
            this.name = name;
        }

        String fact() {
            return Steps.person(id, name, version, department == null ? null : department.id);
        }
    }

    @Entity @Table(name = "phone")
    public static class Phone {
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) public Long id;
        public String number;
        @ManyToOne @JoinColumn(name = "person_id") public Person person;
    }

    interface Unit {
        String[] run(Session session);
    }

    private static SessionFactory factory;
    private static Person ada;

    private static void step(String name, Unit work) {
        Steps.step(name, () -> {
            Session session = factory.openSession();
            Transaction transaction = session.beginTransaction();
            try {
                String[] facts = work.run(session);
                transaction.commit();
                return facts;
            } catch (RuntimeException e) {
                transaction.rollback();
                throw e;
            } finally {
                session.close();
            }
        });
    }

    private static String[] create(Session session) {
        Person person = new Person("Ada");
        session.save(person);
        ada = person;
        return Steps.facts(ada.fact());
    }

    private static String[] read(Session session) {
        session.refresh(ada);
        Steps.expect(((Person) session.get(Person.class, ada.id)).name, "Ada");
        return Steps.facts();
    }

    private static String[] again(Session session) {
        session.update(ada);
        ada.name = "Ida";
        session.flush();
        return Steps.facts(ada.fact());
    }

    private static String[] update(Session session) {
        Person person = (Person) session.get(Person.class, 1L);
        person.name = "Updated";
        session.flush();
        return Steps.facts(person.fact());
    }

    private static String[] delete(Session session) {
        session.delete(session.get(Person.class, 2L));
        session.flush();
        return Steps.facts(Steps.gone(2));
    }

    private static String[] bulk(Session session) {
        Person[] people = {new Person("Bob"), new Person("Cy"), new Person("Di")};
        for (Person person : people)
            session.save(person);
        return Steps.facts(people[0].fact(), people[1].fact(), people[2].fact());
    }

    private static String[] child(Session session) {
        Department tools = new Department();
        tools.name = "Tools";
        session.save(tools);
        Person eve = new Person("Eve");
        eve.department = tools;
        session.save(eve);
        return Steps.facts(Steps.department(tools.id, tools.name), eve.fact());
    }

    private static String[] request(Session session) {
        session.createSQLQuery("SELECT idflow.begin_request('Flo and her phone')").list();
        Person flo = new Person("Flo");
        Phone phone = new Phone();
        phone.number = "555";
        phone.person = flo;
        flo.phones.add(phone);
        session.save(flo);
        session.flush();
        session.createSQLQuery("SELECT cast(idflow.submit(idflow.last_request()) AS varchar)").list();
        return Steps.facts(flo.fact(), Steps.phone(phone.id, flo.id, "555"));
    }

    public static void main(String[] args) {
        factory = new Configuration()
            .setProperty("hibernate.connection.driver_class", "org.postgresql.Driver")
            .setProperty("hibernate.connection.url", Steps.url())
            .setProperty("hibernate.connection.username", System.getenv("PGUSER"))
            .setProperty("hibernate.dialect", "org.hibernate.dialect.PostgreSQLDialect")
            .addAnnotatedClass(Department.class)
            .addAnnotatedClass(Person.class)
            .addAnnotatedClass(Phone.class)
            .buildSessionFactory();
        step("create", HibernateOrm::create);
        step("read", HibernateOrm::read);
        step("again", HibernateOrm::again);
        step("update", HibernateOrm::update);
        step("delete", HibernateOrm::delete);
        step("bulk", HibernateOrm::bulk);
        step("child", HibernateOrm::child);
        step("request", HibernateOrm::request);
        factory.close();
    }
}
