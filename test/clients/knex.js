// Knex: the query builder's insert, update, del and transaction.
const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env;
const knex = require('knex')({ client: 'pg', connection: { host, port, user, database } });
const { steps, person, department, phone, gone, expect } = require('./steps');

let key;

steps({
  async create() {
    [{ id: key }] = await knex('person').insert({ name: 'Ada' }, ['id']);
    return [person(key, 'Ada')];
  },
  async read() {
    expect((await knex('person').where({ id: key }).first()).name, 'Ada');
  },
  async again() {
    expect(await knex('person').where({ id: key, version: 1 }).update({ name: 'Ida', version: knex.raw('version + 1') }), 1);
    return [person(key, 'Ida', 2)];
  },
  async update() {
    expect(await knex('person').where({ id: 1, version: 1 }).update({ name: 'Updated', version: knex.raw('version + 1') }), 1);
    return [person(1, 'Updated', 2)];
  },
  async delete() {
    expect(await knex('person').where({ id: 2 }).del(), 1);
    return [gone(2)];
  },
  async bulk() {
    const rows = await knex('person').insert([{ name: 'Bob' }, { name: 'Cy' }, { name: 'Di' }], ['id', 'name']);
    expect(rows.map((row) => row.name).join(), 'Bob,Cy,Di');
    return rows.map((row) => person(row.id, row.name));
  },
  child: () => knex.transaction(async (trx) => {
    const [{ id: parent }] = await trx('department').insert({ name: 'Tools' }, ['id']);
    const [{ id }] = await trx('person').insert({ name: 'Eve', department_id: parent }, ['id']);
    return [department(parent, 'Tools'), person(id, 'Eve', 1, parent)];
  }),
  request: () => knex.transaction(async (trx) => {
    await trx.raw("SELECT idflow.begin_request('Flo and her phone')");
    const [{ id: parent }] = await trx('person').insert({ name: 'Flo' }, ['id']);
    const [{ id }] = await trx('phone').insert({ person_id: parent, number: '555' }, ['id']);
    await trx.raw('SELECT idflow.submit(idflow.last_request())');
    return [person(parent, 'Flo'), phone(id, parent, '555')];
  }),
}, () => knex.destroy());
