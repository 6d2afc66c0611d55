// Runs the network of the page "Draw a digit" in Node.js: reads net.f16 and pages beside it, and
// prints JSON.
import {readFileSync} from "node:fs"
import {Network} from "./cnn.mjs"

function read(name) {
  const content = readFileSync(name)
  return content.buffer.slice(content.byteOffset, content.byteOffset + content.length)
}

const network = new Network(read("net.f16"))
const pages = new Uint8Array(read("pages")) // 784 pixels each
const probabilities = []
const milliseconds = []
for (let i = 0; i < pages.length; i += 784) {
  const start = performance.now()
  probabilities.push(network.look(pages.subarray(i, i + 784)).probabilities)
  milliseconds.push(performance.now() - start)
}
console.log(JSON.stringify({probabilities, milliseconds}))
