"""psycopg2: plain cursors, RETURNING, rowcount, execute_values."""
import psycopg2
from psycopg2.extras import execute_values
from steps import *

conn = psycopg2.connect("")
cur = conn.cursor()
key = None


def create():
    global key
    cur.execute("INSERT INTO person (name) VALUES (%s) RETURNING id", ("Ada",))
    key = cur.fetchone()[0]
    conn.commit()
    return [person(key, "Ada")]


def read():
    cur.execute("SELECT name FROM person WHERE id = %s", (key,))
    expect(cur.fetchone(), ("Ada",))
    conn.commit()


def again():
    cur.execute("UPDATE person SET name = %s, version = version + 1 WHERE id = %s AND version = %s", ("Ida", key, 1))
    expect(cur.rowcount, 1)
    conn.commit()
    return [person(key, "Ida", 2)]


def update():
    cur.execute("UPDATE person SET name = %s, version = version + 1 WHERE id = %s AND version = %s", ("Updated", 1, 1))
    expect(cur.rowcount, 1)
    conn.commit()
    return [person(1, "Updated", 2)]


def delete():
    cur.execute("DELETE FROM person WHERE id = %s", (2,))
    expect(cur.rowcount, 1)
    conn.commit()
    return [gone(2)]


def bulk():
    names = ["Bob", "Cy", "Di"]
    rows = execute_values(cur, "INSERT INTO person (name) VALUES %s RETURNING id, name", [(n,) for n in names], fetch=True)
    expect([row[1] for row in rows], names)
    conn.commit()
    return [person(*row) for row in rows]


def child():
    with conn, conn.cursor() as c:
        c.execute("INSERT INTO department (name) VALUES ('Tools') RETURNING id")
        parent = c.fetchone()[0]
        c.execute("INSERT INTO person (name, department_id) VALUES ('Eve', %s) RETURNING id", (parent,))
        return [department(parent, "Tools"), person(c.fetchone()[0], "Eve", 1, parent)]


def request():
    with conn, conn.cursor() as c:
        c.execute("SELECT idflow.begin_request('Flo and her phone')")
        c.execute("INSERT INTO person (name) VALUES ('Flo') RETURNING id")
        parent = c.fetchone()[0]
        c.execute("INSERT INTO phone (person_id, number) VALUES (%s, '555') RETURNING id", (parent,))
        number = c.fetchone()[0]
        c.execute("SELECT idflow.submit(idflow.last_request())")
        return [person(parent, "Flo"), phone(number, parent, "555")]


for work in create, read, again, update, delete, bulk, child, request:
    step(work.__name__, work, conn.rollback)
