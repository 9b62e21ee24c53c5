// The page: shows lists as the view `todo-lists` has them, sends commands to the aggregate `todo`, and
// reads a list again whenever one of its events is told. It keeps nothing that the host does not know.

import { command, follow, isPassing, places, row, rows } from "./annals.js";

const PROJECTION = "todo-lists";
const $ = (id) => document.getElementById(id);

/** By list: its row. */
const lists = new Map();

/** Their ids, in the order in which they are shown. */
const ids = () => [...lists.keys()].sort();

/** The list that is shown: the one of the address, or the first. */
const current = () => {
  const wanted = named();
  return lists.has(wanted) ? wanted : ids()[0];
};

/** What the address names, which anybody may have written. */
function named() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

// Reading.

/** By list: up to where its row must be when it is read next. Read one after another, newest last. */
const wanted = new Map();
const reading = new Set();

async function read(list, place) {
  wanted.set(list, place ?? wanted.get(list));
  if (reading.has(list)) return;
  reading.add(list);
  while (wanted.has(list)) {
    const next = wanted.get(list);
    wanted.delete(list);
    try {
      show(list, await row(PROJECTION, "lists", list, next));
    } catch (error) {
      if (!isPassing(error)) {
        say(error.message);
        break;
      }
      // The view is late, or the host away: what was told must be shown in the end.
      if (!wanted.has(list)) wanted.set(list, next);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  reading.delete(list);
}

function show(list, value) {
  if (value === undefined) lists.delete(list);
  else lists.set(list, value);
  render();
}

// Writing.

async function send(list, name, data = {}) {
  try {
    await command("todo", list, name, data, PROJECTION);
    hush();
    await read(list);
    return true;
  } catch (error) {
    say(error.message);
    // What is shown may be what somebody wished for, and is not so.
    render();
    return false;
  }
}

// Showing.

function render() {
  const shown = current();
  const open = (list) => list.items.filter(({ completed }) => !completed).length;
  renderLists(shown, open);
  $("nothing").hidden = lists.size > 0;
  $("list").hidden = shown === undefined;
  document.title = shown === undefined ? "To-do" : `${shown} · To-do`;
  if (shown === undefined) return;
  const list = lists.get(shown);
  const left = open(list);
  $("name").textContent = shown;
  $("count").textContent = `${left} open`;
  $("revision").textContent = `revision ${list.revision}`;
  $("empty").hidden = list.items.length > 0;
  $("check-all").textContent = left > 0 || list.items.length === 0 ? "Check all" : "Uncheck all";
  $("check-all").disabled = list.items.length === 0;
  $("remove-completed").disabled = left === list.items.length;
  renderItems(shown, list.items);
}

function renderLists(shown, open) {
  const entries = ids().map((id) => {
    const link = document.createElement("a");
    link.href = `#${encodeURIComponent(id)}`;
    if (id === shown) link.setAttribute("aria-current", "true");
    for (const text of [id, open(lists.get(id))]) {
      link.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    const entry = document.createElement("li");
    entry.append(link);
    return entry;
  });
  $("lists").replaceChildren(...entries);
}

/** Changes the entries that are there, so that a field keeps its focus and what is typed in it. */
function renderItems(shown, items) {
  const ul = $("items");
  const isOther = ul.dataset.list !== shown;
  // What was typed was meant for the other list.
  if (isOther) $("new-item").elements.description.value = "";
  if (isOther) ul.replaceChildren();
  ul.dataset.list = shown;
  const there = new Map([...ul.children].map((entry) => [entry.dataset.id, entry]));
  items.forEach((item, index) => {
    const id = String(item.id);
    const entry = there.get(id) ?? newEntry(shown, item.id, !isOther);
    there.delete(id);
    const [checked, description] = entry.children;
    entry.classList.toggle("completed", item.completed);
    checked.checked = item.completed;
    checked.setAttribute("aria-label", `Done: ${item.description}`);
    if (document.activeElement !== description) description.value = item.description;
    description.title = item.description;
    description.setAttribute("aria-label", "Description");
    if (ul.children[index] !== entry) ul.insertBefore(entry, ul.children[index] ?? null);
  });
  there.forEach((entry) => entry.remove());
}

/** An entry of `list`: a field that is left because another list is shown still writes to its own. */
function newEntry(list, id, isNew) {
  const entry = $("item").content.firstElementChild.cloneNode(true);
  entry.dataset.id = id;
  entry.classList.toggle("new", isNew);
  const [checked, description, remove] = entry.children;
  checked.onchange = () => send(list, "check-item", { id, checked: checked.checked });
  description.onchange = () => send(list, "set-item", { id, description: description.value });
  description.onkeydown = ({ key }) => {
    if (key === "Escape") description.value = description.title;
    if (key === "Escape" || key === "Enter") description.blur();
  };
  // A field keeps what is typed while others write; left without a change, it shows what is so. Not
  // at once: it may be left because it is being removed.
  description.onblur = () => setTimeout(render);
  remove.onclick = () => send(list, "remove-item", { id });
  return entry;
}

let hushing;

function say(text) {
  $("message").textContent = text;
  $("message").hidden = false;
  clearTimeout(hushing);
  hushing = setTimeout(hush, 6000);
}

function hush() {
  $("message").hidden = true;
}

function setConnection(state) {
  $("connection").dataset.state = state;
  $("connection").textContent = state;
}

// Beginning.

$("new-list").onsubmit = async (event) => {
  event.preventDefault();
  const field = event.target.elements.id;
  const list = field.value.trim();
  if (list === "" || !(await send(list, "create"))) return;
  field.value = "";
  location.hash = encodeURIComponent(list);
  $("new-item").elements.description.focus();
};

$("new-item").onsubmit = async (event) => {
  event.preventDefault();
  const field = event.target.elements.description;
  const description = field.value.trim();
  if (description === "") return;
  field.value = "";
  // What was refused is not lost.
  if (!(await send(current(), "add-item", { description })) && field.value === "") {
    field.value = description;
  }
};

$("check-all").onclick = () => {
  const list = current();
  const checked = lists.get(list).items.some(({ completed }) => !completed);
  send(list, "check-all", { checked });
};
$("remove-completed").onclick = () => send(current(), "remove-completed");
$("delete").onclick = () => {
  const list = current();
  if (confirm(`Delete the list “${list}” with all that is on it?`)) send(list, "delete");
};
window.onhashchange = render;

/** Reads all lists, and shows them. */
async function readAll() {
  const all = await rows(PROJECTION, "lists");
  lists.clear();
  for (const [list, value] of all) lists.set(list, value);
  render();
}

/** Reads all lists again and again. The browser asks by the tag of its copy: mostly nothing changed. */
async function poll() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    try {
      await readAll();
      setConnection("live");
    } catch {
      setConnection("reconnecting");
    }
  }
}

async function begin() {
  try {
    // The places first: what happens while the rows are read is told afterwards.
    const from = await places(PROJECTION);
    await readAll();
    if (from.length > 1) {
      // A stream per partition would be too many: a browser keeps six connections to a host, all
      // tabs together.
      setConnection("live");
      poll();
      return;
    }
    follow("todo", from[0], {
      onEvent: ({ stream, partition, position }) =>
        read(stream.slice("todo/".length), { partition, position }),
      onOpen: () => setConnection("live"),
      onLost: () => setConnection("reconnecting"),
    });
  } catch (error) {
    setConnection("offline");
    say(error.message);
    setTimeout(begin, 2000);
  }
}

begin();
