"""psycopg 3: connection.execute, RETURNING, rowcount, executemany(returning=True)."""
import psycopg
from steps import *

conn = psycopg.connect("")
key = None


def create():
    global key
    with conn.transaction():
        key = conn.execute("INSERT INTO person (name) VALUES (%s) RETURNING id", ("Ada",)).fetchone()[0]
    return [person(key, "Ada")]


def read():
    with conn.transaction():
        expect(conn.execute("SELECT name FROM person WHERE id = %s", (key,)).fetchone(), ("Ada",))


def again():
    with conn.transaction():
        cur = conn.execute("UPDATE person SET name = %s, version = version + 1 WHERE id = %s AND version = %s",
                           ("Ida", key, 1))
        expect(cur.rowcount, 1)
    return [person(key, "Ida", 2)]


def update():
    with conn.transaction():
        cur = conn.execute("UPDATE person SET name = %s, version = version + 1 WHERE id = %s AND version = %s",
                           ("Updated", 1, 1))
        expect(cur.rowcount, 1)
    return [person(1, "Updated", 2)]


def delete():
    with conn.transaction():
        expect(conn.execute("DELETE FROM person WHERE id = %s", (2,)).rowcount, 1)
    return [gone(2)]


def bulk():
    names = ["Bob", "Cy", "Di"]
    facts = []
    with conn.transaction(), conn.cursor() as cur:
        cur.executemany("INSERT INTO person (name) VALUES (%s) RETURNING id", [(n,) for n in names], returning=True)
        for name in names:
            facts.append(person(cur.fetchone()[0], name))
            cur.nextset()
    return facts


def child():
    with conn.transaction():
        parent = conn.execute("INSERT INTO department (name) VALUES ('Tools') RETURNING id").fetchone()[0]
        row = conn.execute("INSERT INTO person (name, department_id) VALUES ('Eve', %s) RETURNING id", (parent,)).fetchone()
        return [department(parent, "Tools"), person(row[0], "Eve", 1, parent)]


def request():
    with conn.transaction():
        conn.execute("SELECT idflow.begin_request('Flo and her phone')")
        parent = conn.execute("INSERT INTO person (name) VALUES ('Flo') RETURNING id").fetchone()[0]
        number = conn.execute("INSERT INTO phone (person_id, number) VALUES (%s, '555') RETURNING id", (parent,)).fetchone()[0]
        conn.execute("SELECT idflow.submit(idflow.last_request())")
    return [person(parent, "Flo"), phone(number, parent, "555")]


for work in create, read, again, update, delete, bulk, child, request:
    step(work.__name__, work)
