"""SQLAlchemy ORM: a session's unit of work, with version_id_col."""
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text, create_engine, text
from sqlalchemy.orm import Session, declarative_base, relationship
from steps import *

Base = declarative_base()


class Department(Base):
    __tablename__ = "department"
    id = Column(BigInteger, primary_key=True)
    name = Column(Text)
    persons = relationship("Person")


class Person(Base):
    __tablename__ = "person"
    id = Column(BigInteger, primary_key=True)
    name = Column(Text)
    version = Column(Integer, nullable=False)
    department_id = Column(ForeignKey("department.id"))
    phones = relationship("Phone")
    __mapper_args__ = {"version_id_col": version}


class Phone(Base):
    __tablename__ = "phone"
    id = Column(BigInteger, primary_key=True)
    person_id = Column(ForeignKey("person.id"))
    number = Column(Text)


engine = create_engine("postgresql+psycopg2://", future=True)
ada = None


def create():
    global ada
    with Session(engine, expire_on_commit=False) as session, session.begin():
        ada = Person(name="Ada")
        session.add(ada)
    return [person(ada.id, "Ada", ada.version)]


def read():
    with Session(engine) as session, session.begin():
        session.add(ada)
        session.refresh(ada)
        expect(ada.name, "Ada")


def again():
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.add(ada)
        ada.name = "Ida"
    return [person(ada.id, "Ida", ada.version)]


def update():
    with Session(engine, expire_on_commit=False) as session, session.begin():
        row = session.get(Person, 1)
        row.name = "Updated"
    return [person(1, "Updated", row.version)]


def delete():
    with Session(engine) as session, session.begin():
        session.delete(session.get(Person, 2))
    return [gone(2)]


def bulk():
    rows = [Person(name=n) for n in ("Bob", "Cy", "Di")]
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.add_all(rows)
    return [person(row.id, row.name, row.version) for row in rows]


def child():
    eve = Person(name="Eve")
    tools = Department(name="Tools", persons=[eve])
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.add(tools)
    return [department(tools.id, "Tools"), person(eve.id, "Eve", eve.version, eve.department_id)]


def request():
    number = Phone(number="555")
    flo = Person(name="Flo", phones=[number])
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.execute(text("SELECT idflow.begin_request('Flo and her phone')"))
        session.add(flo)
        session.flush()
        session.execute(text("SELECT idflow.submit(idflow.last_request())"))
    return [person(flo.id, "Flo", flo.version), phone(number.id, number.person_id, "555")]


for work in create, read, again, update, delete, bulk, child, request:
    step(work.__name__, work)
