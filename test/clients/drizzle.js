// Drizzle: insert().returning(), select, update, delete, db.transaction.
const { drizzle } = require('drizzle-orm/node-postgres');
const { pgTable, bigint, integer, text } = require('drizzle-orm/pg-core');
const { and, eq, sql } = require('drizzle-orm');
const { Pool } = require('pg');
const { steps, person, department, phone, gone, expect } = require('./steps');

const key = { id: bigint({ mode: 'number' }).primaryKey().generatedByDefaultAsIdentity() };
const departments = pgTable('department', { ...key, name: text().notNull() });
const persons = pgTable('person', {
  ...key,
  name: text().notNull(),
  version: integer().notNull().default(1),
  departmentId: bigint('department_id', { mode: 'number' }).references(() => departments.id),
});
const phones = pgTable('phone', {
  ...key,
  personId: bigint('person_id', { mode: 'number' }).notNull().references(() => persons.id),
  number: text().notNull(),
});

const pool = new Pool();
const db = drizzle({ client: pool });
let ada;

steps({
  async create() {
    [ada] = await db.insert(persons).values({ name: 'Ada' }).returning();
    return [person(ada.id, ada.name, ada.version)];
  },
  async read() {
    const [row] = await db.select().from(persons).where(eq(persons.id, ada.id));
    expect(row.name, 'Ada');
  },
  async again() {
    const [row] = await db.update(persons).set({ name: 'Ida', version: sql`${persons.version} + 1` })
      .where(and(eq(persons.id, ada.id), eq(persons.version, 1))).returning();
    return [person(row.id, row.name, row.version)];
  },
  async update() {
    const [row] = await db.update(persons).set({ name: 'Updated', version: sql`${persons.version} + 1` })
      .where(and(eq(persons.id, 1), eq(persons.version, 1))).returning();
    return [person(row.id, row.name, row.version)];
  },
  async delete() {
    expect((await db.delete(persons).where(eq(persons.id, 2))).rowCount, 1);
    return [gone(2)];
  },
  async bulk() {
    const rows = await db.insert(persons).values([{ name: 'Bob' }, { name: 'Cy' }, { name: 'Di' }]).returning();
    expect(rows.map((row) => row.name).join(), 'Bob,Cy,Di');
    return rows.map((row) => person(row.id, row.name, row.version));
  },
  child: () => db.transaction(async (tx) => {
    const [tools] = await tx.insert(departments).values({ name: 'Tools' }).returning();
    const [eve] = await tx.insert(persons).values({ name: 'Eve', departmentId: tools.id }).returning();
    return [department(tools.id, 'Tools'), person(eve.id, eve.name, eve.version, eve.departmentId)];
  }),
  request: () => db.transaction(async (tx) => {
    await tx.execute(sql`SELECT idflow.begin_request('Flo and her phone')`);
    const [flo] = await tx.insert(persons).values({ name: 'Flo' }).returning();
    const [number] = await tx.insert(phones).values({ personId: flo.id, number: '555' }).returning();
    await tx.execute(sql`SELECT idflow.submit(idflow.last_request())`);
    return [person(flo.id, flo.name, flo.version), phone(number.id, number.personId, number.number)];
  }),
}, () => pool.end());
