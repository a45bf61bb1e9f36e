"use strict";
// Answers of the model in this browser: pictures never leave it.
const backend = (() => {
  const OPENED_AS_FILE = "Browsers keep a page that is opened as a file from its own files. Serve this folder instead, for "
    + "example with `python -m http.server` inside it, and open the address that it says.";
  const waiting = new Map(); // number of a sample -> what to do with its answer
  let worker = null, numSamples = 0;

  function answerAll(message) {
    for (const resolve of waiting.values()) resolve({ error: message });
    waiting.clear();
  }

  function startWorker() {
    // A worker that comes from a blob is bound by the policy of this page; one with an address would not be.
    const code = `import ${JSON.stringify(new URL("ui/worker.js", document.baseURI).href)};`;
    worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    worker.addEventListener("message", ({ data: { number, row } }) => {
      waiting.get(number)?.(row);
      waiting.delete(number);
    });
    worker.addEventListener("error", () => answerAll("the program that runs the model cannot be loaded by this browser"));
  }

  const answered = sample => new Promise(resolve => {
    waiting.set(++numSamples, resolve);
    worker.postMessage({ number: numSamples, ...sample });
  });

  class Browser extends EventTarget {
    fields = ["object", "answer", "confidence", "set", "decision", "error"];
    note = "Pictures stay on this device.";

    async models() {
      if (location.protocol === "file:") throw new Error(OPENED_AS_FILE);
      const answer = await fetch("model.json").catch(() => null);
      if (!answer?.ok) throw new Error("The description of the model cannot be loaded. Is model.json beside this page?");
      startWorker();
      return [await answer.json()];
    }

    // samples: [{views: Map of files, columns: Map of texts}]; rows like those of a server, in the same order.
    predict(model, samples) {
      return Promise.all(samples.map(answered));
    }
  }

  return new Browser();
})();
