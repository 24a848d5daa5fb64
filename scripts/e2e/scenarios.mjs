// Plays the scenarios of TOPICS, files of this directory separated by spaces, in each form and all beside each other. Each has a twin in
// Go, cmd/stentor/sdk_*_test.go. WITHOUT names some to leave out, separated by commas. The other settings are those of scene.mjs.
import { describe, it } from "node:test";
import { forms, Scene } from "./scene.mjs";

const topics = await Promise.all(
  process.env.TOPICS.split(" ").map(async (topic) => [topic, (await import(`./${topic}.mjs`)).default]),
);

describe("centrifuge-js", { concurrency: 1000 }, () => {
  for (const form of forms) {
    for (const [topic, scenarios] of topics) {
      for (const [number, [name, play]] of Object.entries(scenarios).entries()) {
        if (process.env.WITHOUT?.split(",").includes(name)) continue;
        it(`${form}/${topic}/${name}`, { timeout: 60_000 }, async () => {
          const scene = new Scene(form, `${topic}-${number}`);
          try {
            await play(scene);
          } finally {
            scene.end();
          }
        });
      }
    }
  }
});
