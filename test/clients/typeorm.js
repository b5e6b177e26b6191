// TypeORM: entity schemas, save, findOneByOrFail, remove, a version column, EntityManager.transaction.
require('reflect-metadata');
const { DataSource, EntitySchema } = require('typeorm');
const { steps, person, department, phone, gone, expect } = require('./steps');

const id = { type: 'bigint', primary: true, generated: 'identity', generatedIdentity: 'BY DEFAULT' };
const Department = new EntitySchema({ name: 'department', columns: { id, name: { type: 'text' } } });
const Person = new EntitySchema({
  name: 'person',
  columns: { id, name: { type: 'text' }, version: { type: 'int', version: true } },
  relations: {
    department: { type: 'many-to-one', target: 'department', joinColumn: { name: 'department_id' } },
    phones: { type: 'one-to-many', target: 'phone', inverseSide: 'person', cascade: true },
  },
});
const Phone = new EntitySchema({
  name: 'phone',
  columns: { id, number: { type: 'text' } },
  relations: { person: { type: 'many-to-one', target: 'person', joinColumn: { name: 'person_id' }, inverseSide: 'phones' } },
});

const { PGHOST: host, PGPORT: port, PGUSER: username, PGDATABASE: database } = process.env;
const source = new DataSource({ type: 'postgres', host, port: Number(port), username, database, installExtensions: false, entities: [Department, Person, Phone] });
let ada;

source.initialize().then(() => steps({
  async create() {
    ada = await source.manager.save(Person, { name: 'Ada' });
    return [person(ada.id, 'Ada', ada.version)];
  },
  async read() {
    expect((await source.manager.findOneByOrFail(Person, { id: ada.id })).name, 'Ada');
  },
  async again() {
    ada.name = 'Ida';
    await source.manager.save(Person, ada);
    return [person(ada.id, 'Ida', ada.version)];
  },
  async update() {
    const row = await source.manager.findOneByOrFail(Person, { id: 1 });
    row.name = 'Updated';
    await source.manager.save(Person, row);
    return [person(1, 'Updated', row.version)];
  },
  async delete() {
    const result = await source.manager.delete(Person, { id: 2 });
    expect(result.affected, 1);
    return [gone(2)];
  },
  async bulk() {
    const rows = await source.manager.save(Person, [{ name: 'Bob' }, { name: 'Cy' }, { name: 'Di' }]);
    return rows.map((row) => person(row.id, row.name, row.version));
  },
  child: () => source.transaction(async (manager) => {
    const tools = await manager.save(Department, { name: 'Tools' });
    const eve = await manager.save(Person, { name: 'Eve', department: tools });
    return [department(tools.id, 'Tools'), person(eve.id, 'Eve', eve.version, eve.department.id)];
  }),
  request: () => source.transaction(async (manager) => {
    await manager.query("SELECT idflow.begin_request('Flo and her phone')");
    const flo = await manager.save(Person, { name: 'Flo', phones: [{ number: '555' }] });
    await manager.query('SELECT idflow.submit(idflow.last_request())');
    return [person(flo.id, 'Flo', flo.version), phone(flo.phones[0].id, flo.id, '555')];
  }),
}, () => source.destroy()));
