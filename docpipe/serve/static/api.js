// What the server is asked for. Every function gives plain values or throws an Error that a person can read.

async function asked(path, options = {}) {
  const answer = await fetch(`api/${path}`, options);
  if (!answer.ok) {
    let why = `${answer.status} ${answer.statusText}`;
    try { const said = await answer.json(); why = typeof said.detail === "string" ? said.detail : why; } catch { /* no JSON */ }
    throw new Error(why);
  }
  return answer;
}

const json = async (path) => (await asked(path)).json();
const post = (path, value) => asked(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value),
});

const at = (name) => `documents/${encodeURIComponent(name)}`;
const on = (name, id) => `${at(name)}/regions/${encodeURIComponent(id)}`;

export const documents = () => json("documents");
export const documentOf = (name) => json(at(name));
export const regionsOf = (name) => json(`${at(name)}/regions`);
export const pageOf = (name, number) => json(`${at(name)}/pages/${number}`);
export const pageImage = (name, number, dpi) => `api/${at(name)}/pages/${number}/image?dpi=${dpi}`;
export const crop = (name, id) => `api/${on(name, id)}/crop`;
export const drawing = (name, id, reading = -1, stamp = "") => `api/${on(name, id)}/drawing?reading=${reading}&${stamp}`;
export const check = async (name, id, value) => (await post(`${on(name, id)}/check`, { value })).json();
export const decide = async (name, id, action, value = null) => (await post(`${on(name, id)}/decision`, { action, value })).json();
export const draw = async (type, value) => (await post("draw", { type, value })).blob();
export const notes = async (value) => (await post("notes", { type: "score", value })).json();
