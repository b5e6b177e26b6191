"""What the Python clients share: a step is run and told of in one JSON line."""
import json


def step(name, work, undo=lambda: None):
    """work() returns what it believes to have written, as lines that 010_clients.pl compares with the tables."""
    try:
        tell = {"step": name, "ok": True, "facts": work()}
    except Exception as error:
        tell = {"step": name, "ok": False, "detail": f"{type(error).__name__}: {error}".split("\n")[0]}
        undo()
    print(json.dumps(tell), flush=True)


def person(id, name, version=1, department=None):
    return f"person {id} {name} v{version} {department or '-'}"


def department(id, name):
    return f"department {id} {name}"


def phone(id, person, number):
    return f"phone {id} {person} {number}"


def gone(id):
    return f"no person {id}"


def expect(value, wanted):
    if value != wanted:
        raise AssertionError(f"{value!r} instead of {wanted!r}")
