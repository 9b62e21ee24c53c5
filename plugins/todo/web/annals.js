// What the page needs of the HTTP API: commands, rows of a view, and the events as they happen.

/** An answer that is a problem: of the domain, with its code, or of the host. */
export class Problem extends Error {
  constructor(status, { code, detail, rejection }) {
    super(rejection?.message ?? detail ?? `The host answered ${status}.`);
    this.status = status;
    this.code = rejection?.code ?? code;
  }
}

async function ask(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) {
    throw new Problem(response.status, await response.json().catch(() => ({})));
  }
  return response.json();
}

const ATTEMPTS_MAX = 4;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether it may go better another time: the host is busy or away, or nobody knows what happened. */
export function isPassing(error) {
  return !(error instanceof Problem) || error.status >= 500;
}

/**
 * Runs a command, and returns when the view of `projection` has what happened. It is sent again when
 * the answer was lost: under the same id, so that it is not decided twice.
 */
export async function command(aggregate, id, name, data, projection) {
  const path = `/v1/aggregates/${aggregate}/${encodeURIComponent(id)}/${name}?wait_for=${projection}`;
  const headers = { "content-type": "application/json" };
  // Only pages of this machine or over TLS have it.
  if (crypto.randomUUID) headers["idempotency-key"] = crypto.randomUUID();
  const attempts = crypto.randomUUID ? ATTEMPTS_MAX : 1;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(path, { method: "POST", headers, body: JSON.stringify(data) });
    } catch (error) {
      if (!isPassing(error) || attempt === attempts) throw error;
      await pause(200 * attempt);
    }
  }
}

/** A row of a view, or `undefined`. With a place, it is read when the view has come there. */
export async function row(projection, table, key, place) {
  const path = `/v1/views/${projection}/${table}/${encodeURIComponent(key)}`;
  const query = place ? `?partition=${place.partition}&position=${place.position}` : "";
  try {
    return (await ask(path + query)).value;
  } catch (error) {
    if (error.code === "unknown-row") return undefined;
    throw error;
  }
}

/** All rows of a table, as pairs of key and value. */
export async function rows(projection, table) {
  const all = [];
  let page = "";
  do {
    const next = await ask(`/v1/views/${projection}/${table}?limit=1000${page}`);
    all.push(...next.rows.map(({ key, value }) => [key, value]));
    page = next.next_page === null ? "" : `&page=${next.next_page}`;
  } while (page !== "");
  return all;
}

/** How far a view is, by partition. */
export async function places(projection) {
  const { partitions } = await ask(`/v1/projections/${projection}`);
  return partitions.map(({ partition, checkpoint }) => ({ partition, position: checkpoint }));
}

/**
 * Tells every event of a category after a place, each once and in order, and whether the stream is
 * open. The browser connects again by itself, and goes on after the last event it has.
 */
export function follow(category, place, { onEvent, onOpen, onLost }) {
  const after = place.position === null ? "" : `&after=${place.position}`;
  const path = `/v1/events?category=${category}&partition=${place.partition}${after}`;
  const source = new EventSource(path);
  source.onmessage = ({ data }) => onEvent(JSON.parse(data));
  source.onopen = onOpen;
  source.onerror = () => {
    onLost();
    // Refused for good, as when the host is stopping: the browser has given up.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => follow(category, place, { onEvent, onOpen, onLost }), 1000);
    }
  };
  source.addEventListener("message", ({ lastEventId }) => {
    if (lastEventId !== "") place = { ...place, position: lastEventId };
  });
}
