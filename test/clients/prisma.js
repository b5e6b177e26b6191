// Prisma with its driver adapter: create, findUniqueOrThrow, update, delete, createManyAndReturn, $transaction.
// It names its tables with a schema; through the preview schema it must be told so.
const path = require('path');
const { PrismaPg } = require('@prisma/adapter-pg');
const { PrismaClient } = require(path.join(process.env.NODE_PATH, '..', 'generated'));
const { steps, person, department, phone, gone, expect } = require('./steps');

const adapter = new PrismaPg({}, { schema: process.env.CLIENT_SCHEMA });
const prisma = new PrismaClient({ adapter });
let ada;

steps({
  async create() {
    ada = await prisma.person.create({ data: { name: 'Ada' } });
    return [person(ada.id, ada.name, ada.version)];
  },
  async read() {
    expect((await prisma.person.findUniqueOrThrow({ where: { id: ada.id } })).name, 'Ada');
  },
  async again() {
    const row = await prisma.person.update({ where: { id: ada.id, version: 1 }, data: { name: 'Ida', version: { increment: 1 } } });
    return [person(row.id, row.name, row.version)];
  },
  async update() {
    const row = await prisma.person.update({ where: { id: 1, version: 1 }, data: { name: 'Updated', version: { increment: 1 } } });
    return [person(row.id, row.name, row.version)];
  },
  async delete() {
    const row = await prisma.person.delete({ where: { id: 2 } });
    return [gone(row.id)];
  },
  async bulk() {
    const rows = await prisma.person.createManyAndReturn({ data: [{ name: 'Bob' }, { name: 'Cy' }, { name: 'Di' }] });
    expect(rows.map((row) => row.name).join(), 'Bob,Cy,Di');
    return rows.map((row) => person(row.id, row.name, row.version));
  },
  async child() {
    const tools = await prisma.department.create({ data: { name: 'Tools', persons: { create: { name: 'Eve' } } }, include: { persons: true } });
    const [eve] = tools.persons;
    return [department(tools.id, tools.name), person(eve.id, eve.name, eve.version, eve.departmentId)];
  },
  request: () => prisma.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT idflow.begin_request('Flo and her phone')`;
    const flo = await tx.person.create({ data: { name: 'Flo', phones: { create: { number: '555' } } }, include: { phones: true } });
    await tx.$queryRaw`SELECT idflow.submit(idflow.last_request())`;
    const [number] = flo.phones;
    return [person(flo.id, flo.name, flo.version), phone(number.id, number.personId, number.number)];
  }),
}, () => prisma.$disconnect());
