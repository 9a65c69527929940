// The API's documentation, made from openapi.json: no viewer from another site is needed.

const main = document.getElementById("home");

function make(tag, text, ...inside) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...inside);
  return made;
}

const typeOf = (schema = {}) => schema.type ?? (schema.anyOf ?? []).map(typeOf).join(" or ") ?? "";

function fields(operation, whole) {
  const found = (operation.parameters ?? []).map((p) => [p.name, p.in, typeOf(p.schema), p.description ?? ""]);
  for (const [kind, body] of Object.entries(operation.requestBody?.content ?? {})) {
    const schema = whole.components?.schemas?.[body.schema?.$ref?.split("/").at(-1)] ?? body.schema ?? {};
    for (const [name, one] of Object.entries(schema.properties ?? {})) {
      found.push([name, kind, typeOf(one) + (one.default !== undefined ? `, default ${one.default}` : ""), one.description ?? ""]);
    }
  }
  return found;
}

try {
  const whole = await (await fetch("openapi.json")).json();
  for (const [path, methods] of Object.entries(whole.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      main.append(make("h2", "", make("span", method.toUpperCase()), ` ${path}`), make("p", operation.description ?? operation.summary));
      const rows = fields(operation, whole);
      if (rows.length) {
        const head = make("tr", "", ...["name", "in", "type", "meaning"].map((name) => make("th", name)));
        main.append(make("table", "", make("tbody", "", head, ...rows.map((row) => make("tr", "", ...row.map((cell) => make("td", cell)))))));
      }
    }
  }
} catch (error) { document.getElementById("status").textContent = error.message; }
