// What a number of the network is made of, and what an answer is made of. Nothing is drawn here:
// these are the same sums that cnn.js makes, kept apart.

import {LAYERS, logSoftmax, MEAN, STD} from "./cnn.js"

/** Where each layer's numbers come from, and how many there are: maps, rows, columns. */
export const ORDER = {
  input: {from: null, shape: [1, 28, 28]},
  conv1: {from: "input", shape: [32, 26, 26]},
  conv2: {from: "conv1", shape: [64, 24, 24]},
  pool1: {from: "conv2", shape: [64, 12, 12]},
  conv3: {from: "pool1", shape: [128, 10, 10]},
  conv4: {from: "conv3", shape: [256, 8, 8]},
  pool2: {from: "conv4", shape: [256, 4, 4]},
  fc1: {from: "pool2", shape: [50, 1, 1]},
  fc2: {from: "fc1", shape: [10, 1, 1]},
  log_softmax: {from: "fc2", shape: [10, 1, 1]},
}

/** The part of each earlier layer that a number can see, from the layer before it to the pixels. */
export function fieldOf(layer, row, column) {
  const found = []
  let box = {top: row, left: column, bottom: row, right: column}
  for (let name = layer; ORDER[name].from; name = ORDER[name].from) {
    const before = ORDER[name].from
    const [, rows, columns] = ORDER[before].shape
    if (name.startsWith("conv")) box = {...box, bottom: box.bottom + 2, right: box.right + 2}
    else if (name.startsWith("pool"))
      box = {
        top: 2 * box.top,
        left: 2 * box.left,
        bottom: 2 * box.bottom + 1,
        right: 2 * box.right + 1,
      }
    else box = {top: 0, left: 0, bottom: rows - 1, right: columns - 1}
    found.push({layer: before, ...box})
  }
  return found
}

const total = (numbers) => numbers.reduce((sum, value) => sum + value, 0)

/** Weights times values, place by place, and their sum. */
function term(from, map, top, left, width, values, weights) {
  const products = values.map((value, i) => value * weights[i])
  return {from, map, top, left, width, values, weights, products, sum: total(products)}
}

function convolution({layers}, seen, {layer, map, row, column}) {
  const {into, weight, bias} = layers[layer]
  const from = ORDER[layer].from
  const [, rows, columns] = ORDER[from].shape
  const terms = Array.from({length: into}, (_, i) => {
    const values = Array.from(
      {length: 9},
      (_, k) => seen[from].data[(i * rows + row + Math.floor(k / 3)) * columns + column + (k % 3)],
    )
    const start = (map * into + i) * 9
    return term(from, i, row, column, 3, values, Array.from(weight.subarray(start, start + 9)))
  })
  return {terms, bias: bias[map]}
}

function dense({layers}, seen, {layer, map}) {
  const {into, weight, bias} = layers[layer]
  const from = ORDER[layer].from
  const [maps, rows, columns] = ORDER[from].shape
  const area = rows * columns
  const terms = Array.from({length: maps}, (_, i) => {
    const start = map * into + i * area
    return term(
      from,
      i,
      0,
      0,
      columns,
      Array.from(seen[from].data.subarray(i * area, (i + 1) * area)),
      Array.from(weight.subarray(start, start + area)),
    )
  })
  return {terms, bias: bias[map]}
}

/**
 * What one number is made of.
 * seen: what Network.look gives. at: {layer, map, row, column}, counted from 0.
 * kind "pixel": byte, share, value. "convolution" and "dense": terms, one for each map or number
 * before, each with values, weights, products and their sum; then the sum of the sums, the bias,
 * both together as `before`, and value, after ReLU where there is one. "pool": values and the
 * winner. "softmax": ten scores, their powers' sum, and value.
 */
export function takeApart(network, {activations, logits, page}, at) {
  const {layer, map, row, column} = at
  const [, rows, columns] = ORDER[layer].shape
  const stored = activations[layer]?.data[(map * rows + row) * columns + column]
  const silent = Boolean(network.silent[layer]?.includes(map))
  const field = fieldOf(layer, row, column)
  if (layer === "input") {
    const byte = page[row * columns + column]
    const value = (byte / 255 - MEAN) / STD
    return {...at, kind: "pixel", field, byte, share: byte / 255, mean: MEAN, std: STD, value}
  }
  if (layer === "log_softmax") {
    const highest = Math.max(...logits)
    const powers = logits.map((logit) => Math.exp(logit - highest))
    const logSum = highest + Math.log(total(powers))
    const value = logSoftmax(logits)[map]
    return {...at, kind: "softmax", field, logits, logSum, value, probability: Math.exp(value)}
  }
  if (layer.startsWith("pool")) {
    const {from} = ORDER[layer]
    const [, high, wide] = ORDER[from].shape
    const values = Array.from({length: 4}, (_, k) => {
      const [y, x] = [2 * row + (k >> 1), 2 * column + (k % 2)]
      return activations[from].data[(map * high + y) * wide + x]
    })
    const winner = values.indexOf(Math.max(...values))
    const value = silent ? 0 : values[winner]
    return {...at, kind: "pool", field, from, values, winner, silent, value}
  }
  const conv = layer.startsWith("conv")
  const {terms, bias} = (conv ? convolution : dense)(network, activations, at)
  const sum = total(terms.map((one) => one.sum))
  const before = sum + bias
  const relu = layer !== "fc2"
  const value = silent ? 0 : relu ? Math.max(before, 0) : before
  const kind = conv ? "convolution" : "dense"
  return {...at, kind, field, terms, sum, bias, before, relu, silent, value, stored}
}

/**
 * What an answer is made of: the score of a digit, or how far it's ahead of another digit.
 * numbers: for each of the 50 of fc1 its value, its weight and the product; they and the bias are
 * the score. maps: what each of the 256 maps of pool2 adds to it through those numbers that ReLU
 * let pass; they and `fixed`, all the biases, are the score too. Both from the largest to the
 * least.
 */
export function speakersOf({layers}, {activations}, digit, other = null) {
  const {fc1, fc2} = layers
  const weightOf = (j) =>
    fc2.weight[digit * fc2.into + j] - (other === null ? 0 : fc2.weight[other * fc2.into + j])
  const numbers = Array.from(activations.fc1.data, (value, j) => {
    const weight = weightOf(j)
    return {number: j, value, weight, product: weight * value}
  })
  const bias = fc2.bias[digit] - (other === null ? 0 : fc2.bias[other])
  const score = bias + total(numbers.map((one) => one.product))
  const {data} = activations.pool2
  const [count, rows, columns] = activations.pool2.shape
  const area = rows * columns
  const heard = numbers.filter((one) => one.value > 0)
  const maps = Array.from({length: count}, (_, map) => ({map, product: 0}))
  for (const {number, weight} of heard)
    for (let i = 0; i < data.length; i++)
      if (data[i] !== 0)
        maps[Math.floor(i / area)].product += weight * fc1.weight[number * fc1.into + i] * data[i]
  const fixed = bias + total(heard.map(({number, weight}) => weight * fc1.bias[number]))
  numbers.sort((a, b) => b.product - a.product)
  maps.sort((a, b) => b.product - a.product)
  return {digit, other, numbers, bias, score, maps, fixed}
}

/** How many weights a layer has for each of its numbers, or 0 where it has none. */
export function weightsOf(layer) {
  const [, , into, k] = LAYERS.find(([name]) => name === layer) ?? [layer, 0, 0, 0]
  return into * (k * k || 1)
}
