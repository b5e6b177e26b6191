// Sequelize: models with create, findByPk, save (version: true), destroy, bulkCreate.
const { Sequelize, DataTypes } = require('sequelize');
const { steps, person, department, phone, gone, expect } = require('./steps');

const { PGHOST: host, PGPORT: port, PGUSER: username, PGDATABASE: database } = process.env;
const sequelize = new Sequelize({ dialect: 'postgres', host, port, username, database, logging: false });

const id = { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true };
const options = (tableName) => ({ tableName, timestamps: false, underscored: true });
const Department = sequelize.define('Department', { id, name: DataTypes.TEXT }, options('department'));
const Person = sequelize.define('Person', { id, name: DataTypes.TEXT }, { ...options('person'), version: true });
const Phone = sequelize.define('Phone', { id, number: DataTypes.TEXT }, options('phone'));
Person.belongsTo(Department, { foreignKey: 'departmentId' });
Person.hasMany(Phone, { foreignKey: 'personId' });
Phone.belongsTo(Person, { foreignKey: 'personId' });

let ada;

steps({
  async create() {
    ada = await Person.create({ name: 'Ada' });
    expect(ada.id != null, true);
    return [person(ada.id, 'Ada', ada.version)];
  },
  async read() {
    await ada.reload();
    expect((await Person.findByPk(ada.id)).name, 'Ada');
  },
  async again() {
    ada.name = 'Ida';
    await ada.save();
    return [person(ada.id, 'Ida', ada.version)];
  },
  async update() {
    const row = await Person.findByPk(1);
    row.name = 'Updated';
    await row.save();
    return [person(1, 'Updated', row.version)];
  },
  async delete() {
    expect(await Person.destroy({ where: { id: 2 } }), 1);
    return [gone(2)];
  },
  async bulk() {
    const rows = await Person.bulkCreate([{ name: 'Bob' }, { name: 'Cy' }, { name: 'Di' }]);
    return rows.map((row) => person(row.id, row.name, row.version));
  },
  child: () => sequelize.transaction(async (transaction) => {
    const tools = await Department.create({ name: 'Tools' }, { transaction });
    const eve = await Person.create({ name: 'Eve', departmentId: tools.id }, { transaction });
    return [department(tools.id, 'Tools'), person(eve.id, 'Eve', eve.version, eve.departmentId)];
  }),
  request: () => sequelize.transaction(async (transaction) => {
    await sequelize.query("SELECT idflow.begin_request('Flo and her phone')", { transaction });
    const flo = await Person.create({ name: 'Flo', Phones: [{ number: '555' }] }, { include: Phone, transaction });
    await sequelize.query('SELECT idflow.submit(idflow.last_request())', { transaction });
    return [person(flo.id, 'Flo', flo.version), phone(flo.Phones[0].id, flo.Phones[0].personId, '555')];
  }),
}, () => sequelize.close());
