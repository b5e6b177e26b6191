// What the JavaScript clients share: a step is run and told of in one JSON line.

// work() returns what it believes to have written, as lines that 010_clients.pl compares with the tables.
async function step(name, work) {
  let tell;
  try {
    tell = { step: name, ok: true, facts: await work() };
  } catch (error) {
    const message = String(error.message).trim().split('\n').pop();
    tell = { step: name, ok: false, detail: `${error.name}: ${message}` };
  }
  console.log(JSON.stringify(tell));
}

async function steps(works, close) {
  for (const name of Object.keys(works)) await step(name, works[name]);
  await close();
}

const person = (id, name, version = 1, department = null) => `person ${id} ${name} v${version} ${department ?? '-'}`;
const department = (id, name) => `department ${id} ${name}`;
const phone = (id, person, number) => `phone ${id} ${person} ${number}`;
const gone = (id) => `no person ${id}`;

function expect(value, wanted) {
  if (value !== wanted) throw new Error(`${value} instead of ${wanted}`);
}

module.exports = { steps, person, department, phone, gone, expect };
