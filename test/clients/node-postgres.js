// node-postgres: pool.query with parameters, RETURNING, rowCount.
const { Pool } = require('pg');
const { steps, person, department, phone, gone, expect } = require('./steps');

const pool = new Pool();
let key;

async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

steps({
  async create() {
    key = (await pool.query('INSERT INTO person (name) VALUES ($1) RETURNING id', ['Ada'])).rows[0].id;
    return [person(key, 'Ada')];
  },
  async read() {
    expect((await pool.query('SELECT name FROM person WHERE id = $1', [key])).rows[0].name, 'Ada');
  },
  async again() {
    const result = await pool.query(
      'UPDATE person SET name = $1, version = version + 1 WHERE id = $2 AND version = $3', ['Ida', key, 1]);
    expect(result.rowCount, 1);
    return [person(key, 'Ida', 2)];
  },
  async update() {
    const result = await pool.query(
      'UPDATE person SET name = $1, version = version + 1 WHERE id = $2 AND version = $3', ['Updated', 1, 1]);
    expect(result.rowCount, 1);
    return [person(1, 'Updated', 2)];
  },
  async delete() {
    expect((await pool.query('DELETE FROM person WHERE id = $1', [2])).rowCount, 1);
    return [gone(2)];
  },
  async bulk() {
    const { rows } = await pool.query('INSERT INTO person (name) SELECT unnest($1::text[]) RETURNING id, name', [['Bob', 'Cy', 'Di']]);
    expect(rows.map((row) => row.name).join(), 'Bob,Cy,Di');
    return rows.map((row) => person(row.id, row.name));
  },
  child: () => transaction(async (client) => {
    const parent = (await client.query("INSERT INTO department (name) VALUES ('Tools') RETURNING id")).rows[0].id;
    const { rows } = await client.query("INSERT INTO person (name, department_id) VALUES ('Eve', $1) RETURNING id", [parent]);
    return [department(parent, 'Tools'), person(rows[0].id, 'Eve', 1, parent)];
  }),
  request: () => transaction(async (client) => {
    await client.query("SELECT idflow.begin_request('Flo and her phone')");
    const parent = (await client.query("INSERT INTO person (name) VALUES ('Flo') RETURNING id")).rows[0].id;
    const { rows } = await client.query("INSERT INTO phone (person_id, number) VALUES ($1, '555') RETURNING id", [parent]);
    await client.query('SELECT idflow.submit(idflow.last_request())');
    return [person(parent, 'Flo'), phone(rows[0].id, parent, '555')];
  }),
}, () => pool.end());
