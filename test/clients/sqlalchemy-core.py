"""SQLAlchemy Core: insert/update/delete constructs on Table objects."""
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Table, Text, create_engine, select, text
from steps import *

engine = create_engine("postgresql+psycopg2://", future=True)
metadata = MetaData()
departments = Table("department", metadata, Column("id", BigInteger, primary_key=True), Column("name", Text))
persons = Table("person", metadata, Column("id", BigInteger, primary_key=True), Column("name", Text),
                Column("version", Integer), Column("department_id", ForeignKey("department.id")))
phones = Table("phone", metadata, Column("id", BigInteger, primary_key=True),
               Column("person_id", ForeignKey("person.id")), Column("number", Text))
key = None


def create():
    global key
    with engine.begin() as conn:
        key, = conn.execute(persons.insert().values(name="Ada")).inserted_primary_key
    expect(key is None, False)
    return [person(key, "Ada")]


def read():
    with engine.begin() as conn:
        expect(conn.execute(select(persons.c.name).where(persons.c.id == key)).scalar_one(), "Ada")


def again():
    with engine.begin() as conn:
        done = conn.execute(persons.update().where(persons.c.id == key, persons.c.version == 1)
                            .values(name="Ida", version=persons.c.version + 1))
        expect(done.rowcount, 1)
    return [person(key, "Ida", 2)]


def update():
    with engine.begin() as conn:
        done = conn.execute(persons.update().where(persons.c.id == 1, persons.c.version == 1)
                            .values(name="Updated", version=persons.c.version + 1))
        expect(done.rowcount, 1)
    return [person(1, "Updated", 2)]


def delete():
    with engine.begin() as conn:
        expect(conn.execute(persons.delete().where(persons.c.id == 2)).rowcount, 1)
    return [gone(2)]


def bulk():
    names = ["Bob", "Cy", "Di"]
    with engine.begin() as conn:
        rows = conn.execute(persons.insert().values([{"name": n} for n in names]).returning(persons.c.id, persons.c.name)).all()
        expect([row.name for row in rows], names)
    return [person(*row) for row in rows]


def child():
    with engine.begin() as conn:
        parent, = conn.execute(departments.insert().values(name="Tools")).inserted_primary_key
        id, = conn.execute(persons.insert().values(name="Eve", department_id=parent)).inserted_primary_key
    return [department(parent, "Tools"), person(id, "Eve", 1, parent)]


def request():
    with engine.begin() as conn:
        conn.execute(text("SELECT idflow.begin_request('Flo and her phone')"))
        parent, = conn.execute(persons.insert().values(name="Flo")).inserted_primary_key
        number, = conn.execute(phones.insert().values(person_id=parent, number="555")).inserted_primary_key
        conn.execute(text("SELECT idflow.submit(idflow.last_request())"))
    return [person(parent, "Flo"), phone(number, parent, "555")]


for work in create, read, again, update, delete, bulk, child, request:
    step(work.__name__, work)
