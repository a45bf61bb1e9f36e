"use strict";
// Answers of the server that the page came from.
const backend = (() => {
  const TRIES = 6;
  const byId = id => document.getElementById(id);
  let token = "";

  class Problem extends Error {
    constructor(message, status, seconds) {
      super(message);
      Object.assign(this, { status, seconds });
    }
  }

  async function ask(path, options = {}) {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Problem("The server cannot be reached. Is it still running?", 0, 2);
    }
    let value = {};
    try { value = await answer.json(); } catch { /* a proxy's own page */ }
    if (answer.status === 401) byId("access").hidden = false;
    if (!answer.ok && !value.predictions) {
      const words = value.error || `the server answered with status ${answer.status}`;
      throw new Problem(words[0].toUpperCase() + words.slice(1) + ".", answer.status, Number(answer.headers.get("retry-after")));
    }
    return value;
  }

  // Wait and ask again while the server is busy.
  async function send(model, form) {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await ask(`/v1/models/${model.name}/predict`, { method: "POST", body: form })).predictions;
      } catch (problem) {
        if (problem.status !== 503 || attempt === TRIES) throw problem;
        await new Promise(resume => setTimeout(resume, 1000 * (problem.seconds || 1)));
      }
    }
  }

  class Server extends EventTarget {
    fields = ["object", "answer", "confidence", "set", "decision", "reason"];
    note = "Pictures go to this server, are answered and forgotten.";

    async models() {
      const { models } = await ask("/v1/models");
      byId("access").hidden = true;
      return models;
    }

    // samples: [{views: Map of files, columns: Map of texts}]; the rows of the protocol /v1, in the same order.
    predict(model, samples, options = {}) {
      const form = new FormData();
      for (const [name, value] of Object.entries(options)) form.append(name, value);
      form.append("top_k", "5");
      samples.forEach(({ views, columns }, number) => {
        for (const [view, file] of views) form.append(`${number}.${view}`, file, file.name || "picture");
        for (const [column, text] of columns) form.append(`${number}.${column}`, text);
      });
      return send(model, form);
    }

    // Thumbnails of a similar training sample, [{view, picture}]. number: of the row's `similar`.
    async trainingPictures(model, number) {
      return (await ask(`/v1/models/${model.name}/similar/${number}`)).pictures;
    }

    // The row of one sample, with `maps`: name of a picture -> {picture, strongest}.
    async maps(model, sample) {
      return (await this.predict(model, [sample], { maps: "true" }))[0];
    }
  }

  const server = new Server();
  byId("access").addEventListener("submit", event => {
    event.preventDefault();
    token = byId("token").value.trim();
    server.dispatchEvent(new Event("change"));
  });
  return server;
})();
