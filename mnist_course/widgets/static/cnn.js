// The network of the course in plain JavaScript: conv1..conv4, fc1, fc2, with every layer's
// numbers on the way.

// name, outputs, inputs, kernel
const LAYERS = [
  ["conv1", 32, 1, 3],
  ["conv2", 64, 32, 3],
  ["conv3", 128, 64, 3],
  ["conv4", 256, 128, 3],
  ["fc1", 50, 4096, 0],
  ["fc2", 10, 50, 0],
]
const MEAN = 0.1307
const STD = 0.3081

/** One half-precision number, given as its 16 bits. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The weights from a file of float16, little endian: for each layer its weight, then its bias. */
export function readWeights(buffer) {
  const wanted = LAYERS.reduce((sum, [, out, into, k]) => sum + out * (into * (k * k || 1) + 1), 0)
  if (buffer.byteLength !== 2 * wanted)
    throw new Error(`expected ${2 * wanted} bytes of weights, got ${buffer.byteLength}`)
  const table = new Float32Array(65536)
  for (let bits = 0; bits < 65536; bits++) table[bits] = half(bits)
  const bytes = new Uint8Array(buffer)
  let at = 0
  const take = (count) => {
    const values = new Float32Array(count)
    for (let i = 0; i < count; i++, at += 2) values[i] = table[bytes[at] | (bytes[at + 1] << 8)]
    return values
  }
  return Object.fromEntries(
    LAYERS.map(([name, out, into, k]) => [
      name,
      {out, into, k, weight: take(out * into * (k * k || 1)), bias: take(out)},
    ]),
  )
}

/**
 * A 3 x 3 convolution without padding, then ReLU.
 * input: (into, size, size) -> (out, size - 2, size - 2).
 */
function convRelu(layer, input, size) {
  const {out, into, weight, bias} = layer
  const side = size - 2
  const area = side * side
  const output = new Float32Array(out * area)
  for (let o = 0; o < out; o += 2) {
    // two kernels at a time read each pixel once for both
    const first = output.subarray(o * area, (o + 1) * area).fill(bias[o])
    const second = output.subarray((o + 1) * area, (o + 2) * area).fill(bias[o + 1])
    for (let i = 0; i < into; i++) {
      const v = (o * into + i) * 9
      const w = ((o + 1) * into + i) * 9
      const a0 = weight[v]
      const a1 = weight[v + 1]
      const a2 = weight[v + 2]
      const a3 = weight[v + 3]
      const a4 = weight[v + 4]
      const a5 = weight[v + 5]
      const a6 = weight[v + 6]
      const a7 = weight[v + 7]
      const a8 = weight[v + 8]
      const b0 = weight[w]
      const b1 = weight[w + 1]
      const b2 = weight[w + 2]
      const b3 = weight[w + 3]
      const b4 = weight[w + 4]
      const b5 = weight[w + 5]
      const b6 = weight[w + 6]
      const b7 = weight[w + 7]
      const b8 = weight[w + 8]
      for (let y = 0; y < side; y++) {
        const top = i * size * size + y * size
        const middle = top + size
        const bottom = middle + size
        let at = y * side
        let p0 = input[top]
        let p1 = input[top + 1]
        let p3 = input[middle]
        let p4 = input[middle + 1]
        let p6 = input[bottom]
        let p7 = input[bottom + 1]
        for (let x = 0; x < side; x++, at++) {
          // the window moves one to the right: six of its nine pixels are known
          const p2 = input[top + x + 2]
          const p5 = input[middle + x + 2]
          const p8 = input[bottom + x + 2]
          first[at] +=
            a0 * p0 + a1 * p1 + a2 * p2 + a3 * p3 + a4 * p4 + a5 * p5 + a6 * p6 + a7 * p7 + a8 * p8
          second[at] +=
            b0 * p0 + b1 * p1 + b2 * p2 + b3 * p3 + b4 * p4 + b5 * p5 + b6 * p6 + b7 * p7 + b8 * p8
          p0 = p1
          p1 = p2
          p3 = p4
          p4 = p5
          p6 = p7
          p7 = p8
        }
      }
    }
  }
  for (let i = 0; i < output.length; i++) if (output[i] < 0) output[i] = 0
  return {shape: [out, side, side], data: output}
}

/** The largest of each 2 x 2 block. */
function maxPool(map) {
  const [channels, size] = map.shape
  const side = size >> 1
  const data = new Float32Array(channels * side * side)
  for (let c = 0, at = 0; c < channels; c++)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++, at++) {
        const p = c * size * size + 2 * y * size + 2 * x
        data[at] = Math.max(
          map.data[p],
          map.data[p + 1],
          map.data[p + size],
          map.data[p + size + 1],
        )
      }
  return {shape: [channels, side, side], data}
}

/** Each output: a weight for every input, and a bias. */
function linear(layer, input) {
  const {out, into, weight, bias} = layer
  const data = new Float32Array(out)
  for (let o = 0; o < out; o++) {
    let sum = bias[o]
    for (let i = 0; i < into; i++) sum += weight[o * into + i] * input[i]
    data[o] = sum
  }
  return {shape: [out], data}
}

const MAPS = 128 // of conv3

/**
 * mnist_course.engine.predict.ReferenceStatistics from float32, little endian: ten means, the
 * whitening row by row, the coefficients. null for an empty buffer.
 */
export function readReference(buffer) {
  if (!buffer?.byteLength) return null
  const wanted = 4 * (10 * MAPS + MAPS * MAPS + 3)
  if (buffer.byteLength !== wanted)
    throw new Error(`expected ${wanted} bytes that say how digits look, got ${buffer.byteLength}`)
  const view = new DataView(buffer)
  const take = (start, count) =>
    Float32Array.from({length: count}, (_, i) => view.getFloat32(4 * (start + i), true))
  return {
    means: take(0, 10 * MAPS),
    whitening: take(10 * MAPS, MAPS * MAPS),
    coefficients: take((10 + MAPS) * MAPS, 3),
  }
}

/**
 * The OOD score: how unlike the training digits a picture is, from what Network.look gives; 1 is
 * the limit, null where nobody knows.
 */
export function oodScoreOf(seen, reference) {
  if (!reference) return null
  const {
    shape: [, rows, columns],
    data,
  } = seen.activations.conv3
  const area = rows * columns
  const fires = Float32Array.from(
    {length: MAPS},
    (_, c) => data.subarray(c * area, (c + 1) * area).reduce((sum, value) => sum + value, 0) / area,
  )
  let nearest = Infinity
  for (let digit = 0; digit < 10; digit++) {
    const whitened = new Float64Array(MAPS)
    for (let i = 0; i < MAPS; i++) {
      const off = fires[i] - reference.means[digit * MAPS + i]
      for (let j = 0; j < MAPS; j++) whitened[j] += off * reference.whitening[i * MAPS + j]
    }
    nearest = Math.min(nearest, Math.hypot(...whitened))
  }
  const highest = Math.max(...seen.logits)
  const energy =
    -highest - Math.log(seen.logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0))
  return (
    reference.coefficients[0] * nearest +
    reference.coefficients[1] * energy +
    reference.coefficients[2]
  )
}

export class Network {
  constructor(buffer) {
    this.layers = readWeights(buffer)
  }

  /**
   * 28 x 28 bytes -> {probabilities, logits, activations}: each activation has a shape and its
   * numbers.
   */
  look(page) {
    const {conv1, conv2, conv3, conv4, fc1, fc2} = this.layers
    const input = Float32Array.from(page, (byte) => (byte / 255 - MEAN) / STD)
    const a = {input: {shape: [1, 28, 28], data: input}}
    a.conv1 = convRelu(conv1, input, 28)
    a.conv2 = convRelu(conv2, a.conv1.data, 26)
    a.pool1 = maxPool(a.conv2)
    a.conv3 = convRelu(conv3, a.pool1.data, 12)
    a.conv4 = convRelu(conv4, a.conv3.data, 10)
    a.pool2 = maxPool(a.conv4)
    a.fc1 = linear(fc1, a.pool2.data)
    a.fc1.data.forEach((value, i) => {
      a.fc1.data[i] = Math.max(value, 0)
    })
    const logits = linear(fc2, a.fc1.data).data
    const highest = Math.max(...logits)
    const powers = Array.from(logits, (value) => Math.exp(value - highest))
    const sum = powers.reduce((total, value) => total + value)
    return {
      logits: Array.from(logits),
      probabilities: powers.map((value) => value / sum),
      activations: a,
    }
  }
}
