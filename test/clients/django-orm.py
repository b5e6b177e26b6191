"""Django's models; select_on_save is off, as by default, or on with the argument select_on_save."""
import os
import sys
import django
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F
from steps import *

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
                                          "USER": os.environ["PGUSER"], "HOST": os.environ["PGHOST"],
                                          "PORT": os.environ["PGPORT"]}}, USE_TZ=True)
django.setup()
SELECT_ON_SAVE = "select_on_save" in sys.argv


class Department(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.TextField()

    class Meta:
        app_label = "clients"
        db_table = "department"


class Person(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.TextField()
    version = models.IntegerField(default=1)
    department = models.ForeignKey(Department, models.PROTECT, null=True)

    class Meta:
        app_label = "clients"
        db_table = "person"
        select_on_save = SELECT_ON_SAVE


class Phone(models.Model):
    id = models.BigAutoField(primary_key=True)
    person = models.ForeignKey(Person, models.CASCADE)
    number = models.TextField()

    class Meta:
        app_label = "clients"
        db_table = "phone"
        select_on_save = SELECT_ON_SAVE


ada = None


def create():
    global ada
    ada = Person.objects.create(name="Ada")
    return [person(ada.pk, "Ada", ada.version)]


def read():
    ada.refresh_from_db()
    expect(Person.objects.get(pk=ada.pk).name, "Ada")


def again():
    ada.name = "Ida"
    ada.save()
    return [person(ada.pk, "Ida")]


def update():
    expect(Person.objects.filter(pk=1, version=1).update(name="Updated", version=F("version") + 1), 1)
    return [person(1, "Updated", 2)]


def save():
    row = Person.objects.get(pk=3)
    row.name = "Saved"
    row.save()
    return [person(3, "Saved")]


def delete():
    expect(Person.objects.get(pk=2).delete(), (1, {"clients.Person": 1}))
    return [gone(2)]


def bulk():
    rows = Person.objects.bulk_create([Person(name=n) for n in ("Bob", "Cy", "Di")])
    return [person(row.pk, row.name, row.version) for row in rows]


def child():
    with transaction.atomic():
        tools = Department.objects.create(name="Tools")
        eve = Person.objects.create(name="Eve", department=tools)
    return [department(tools.pk, "Tools"), person(eve.pk, "Eve", 1, tools.pk)]


def request():
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT idflow.begin_request('Flo and her phone')")
        flo = Person.objects.create(name="Flo")
        number = flo.phone_set.create(number="555")
        with connection.cursor() as cursor:
            cursor.execute("SELECT idflow.submit(idflow.last_request())")
    return [person(flo.pk, "Flo"), phone(number.pk, flo.pk, "555")]


for work in create, read, again, update, save, delete, bulk, child, request:
    step(work.__name__, work)
