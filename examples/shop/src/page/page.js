// The page: commands go to the service of orders, everything shown comes from the reports.

const ORDERS = "orders-api";
const REPORTS = "reports-api";
const POLL = 1000;

const byId = (id) => document.getElementById(id);
const euros = (cents) => (cents / 100).toFixed(2);

let account = null;
// When the answer to the placing of each order came, and how long after that it was seen in the reports.
const answered = new Map();
const lags = new Map();

// Sends a command. Its id is made once: if the answer is lost, it is sent again with it, and executed once.
async function command(method, path, body) {
  const id = uuid();
  for (let attempt = 1; ; attempt += 1) {
    let answer;
    try {
      answer = await fetch(`${ORDERS}${path}`, {
        method,
        headers: { "Content-Type": "application/json", "Idempotency-Key": id },
        body: JSON.stringify(body),
      });
    } catch (error) {
      if (attempt < 5) continue;
      throw new Error(`the service of orders cannot be reached: ${error.message}`);
    }
    if ((answer.status === 503 || answer.status === 504) && attempt < 5) continue;
    const said = await answer.json();
    if (!answer.ok) throw new Problem(said);
    return { said, token: answer.headers.get("Consistency-Token") };
  }
}

// Asks the reports; with the token of a command, for an answer that has what it changed.
async function report(path, token) {
  const headers = token ? { "Consistency-Token": token } : {};
  const answer = await fetch(`${REPORTS}${path}`, { headers });
  const said = await answer.json();
  if (!answer.ok) throw new Problem(said);
  return said;
}

class Problem extends Error {
  constructor(said) {
    const fields = (said.violations ?? []).map(({ field, problem }) => `${field} ${problem}`);
    super(fields.length > 0 ? `${said.title}: ${fields.join("; ")}` : `${said.title}: ${said.detail}`);
  }
}

// A random UUID. (crypto.randomUUID is not there where the page comes over plain HTTP from elsewhere.)
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

// Does something that may be refused, and shows why.
async function attempt(action) {
  const alert = byId("problem");
  try {
    await action();
    alert.hidden = true;
  } catch (error) {
    alert.textContent = error.message;
    alert.hidden = false;
  }
}

async function show(token) {
  const today = new Date().toISOString().slice(0, 10);
  const [list, revenue] = await Promise.all([
    report("/orders?limit=20", token),
    report(`/revenue?from=${today}&to=${today}`, token),
  ]);
  const now = performance.now();
  for (const { id } of list.orders) {
    if (answered.has(id) && !lags.has(id)) lags.set(id, Math.max(0, Math.round(now - answered.get(id))));
  }
  byId("revenue").textContent = euros(revenue.reduce((sum, day) => sum + day.revenue, 0));
  byId("orders").replaceChildren(...list.orders.map(row));
}

function row(order) {
  const tr = document.createElement("tr");
  tr.dataset.order = order.id;
  const lines = order.lines.map((line) => `${line.quantity} × ${line.product ?? line.product_id}`);
  const lag = lags.has(order.id) ? `${lags.get(order.id)} ms` : "";
  const placed = order.placed_at.slice(11, 19);
  const cells = [placed, order.account ?? "…", lines.join(", "), euros(order.total), order.status, lag];
  for (const text of cells) tr.insertCell().textContent = text;
  tr.cells[4].className = order.status;
  const buttons = tr.insertCell();
  if (order.status === "placed") {
    for (const [what, text] of [["ship", "Ship"], ["cancel", "Cancel"]]) {
      const button = document.createElement("button");
      button.textContent = text;
      button.addEventListener("click", () => attempt(async () => {
        const { token } = await command("POST", `/orders/${order.id}/${what}`, { version: order.version });
        await show(token);
      }));
      buttons.append(button);
    }
  }
  return tr;
}

byId("open-account").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = event.target.elements.name.value;
  attempt(async () => {
    account = (await command("POST", "/accounts", { name })).said;
    byId("account").textContent = `You are ${account.name}.`;
    byId("place-order").querySelector("button").disabled = false;
  });
});

byId("place-order").addEventListener("submit", (event) => {
  event.preventDefault();
  const { product, quantity } = event.target.elements;
  const lines = [{ product_id: product.value, quantity: Number(quantity.value) }];
  attempt(async () => {
    const { said, token } = await command("POST", "/orders", { account_id: account.id, lines });
    answered.set(said.id, performance.now());
    byId("placed").textContent = `Placed: ${euros(said.total)}.`;
    await show(token);
  });
});

const products = await (await fetch(`${ORDERS}/products`)).json();
for (const product of products) {
  const option = new Option(`${product.name}, ${euros(product.price)}`, product.id);
  byId("place-order").elements.product.append(option);
}
await attempt(() => show());
// One after the other, so that a slow answer is not overtaken by a later one.
async function follow() {
  try {
    await show();
  } catch {
    // The next look will tell.
  }
  setTimeout(follow, POLL);
}
setTimeout(follow, POLL);
document.body.dataset.ready = "true";
