// A small convolutional network that learns, in plain JavaScript: forward, backward, and SGD with
// momentum. Nothing in here knows a page. Each function and class stands on its own feet, so that
// trainer_worker.js can hand their text to a worker.

/**
 * A convolution without padding, ReLU, and the largest of each 2 x 2. All three in one loop: the
 * map before the pool is never stored, and the way back visits the winners only.
 */
export class ConvPool {
  constructor(inputs, side, outputs, kernel, batch) {
    Object.assign(this, {inputs, side, outputs, kernel})
    this.taps = inputs * kernel * kernel
    this.pooled = (side - kernel + 1) >> 1
    this.inSize = inputs * side * side
    this.outSize = outputs * this.pooled * this.pooled
    this.offsets = new Int32Array(this.taps) // of each tap, from the place of the kernel
    let i = 0
    for (let c = 0; c < inputs; c++)
      for (let y = 0; y < kernel; y++)
        for (let x = 0; x < kernel; x++) this.offsets[i++] = (c * side + y) * side + x
    this.packed = new Float64Array(outputs * this.taps) // the weights, four kernels side by side
    this.out = new Float64Array(batch * this.outSize)
    this.winner = new Int32Array(batch * this.outSize) // the winner's place; -1: ReLU let none by
    this.slope = new Float64Array(batch * this.outSize) // of the loss, for each number of `out`
    // A third of a digit's windows are plain paper: there, a kernel's sum says it all.
    this.plain = inputs === 1 ? new Uint8Array(batch * this.pooled * this.pooled) : null
    this.sums = new Float64Array(outputs)
    this.places = new Int32Array(this.pooled * this.pooled) // room for one map's winners
    this.slopes = new Float64Array(this.pooled * this.pooled)
  }

  forward(x, weight, bias, count) {
    const {side, outputs, taps, pooled, inSize, outSize, offsets, packed, out, winner} = this
    const {plain, sums} = this
    for (let c = 0; c < outputs; c++) {
      sums[c] = 0
      for (let i = 0; i < taps; i++) sums[c] += weight[c * taps + i]
    }
    for (let c = 0, at = 0; c < outputs; c += 4)
      for (let i = 0; i < taps; i++)
        for (let j = 0; j < 4; j++) packed[at++] = weight[(c + j) * taps + i]
    const area = pooled * pooled
    if (plain) this.findPlain(x, count)
    for (let n = 0; n < count; n++)
      for (let c = 0; c < outputs; c += 4) {
        const b0 = bias[c]
        const b1 = bias[c + 1]
        const b2 = bias[c + 2]
        const b3 = bias[c + 3]
        let to = n * outSize + c * area
        for (let y = 0; y < pooled; y++)
          for (let column = 0; column < pooled; column++, to++) {
            let m0 = 0
            let m1 = 0
            let m2 = 0
            let m3 = 0
            let w0 = -1
            let w1 = -1
            let w2 = -1
            let w3 = -1
            if (plain?.[n * area + y * pooled + column]) {
              const place = n * inSize + 2 * y * side + 2 * column
              m0 = b0 + sums[c] * x[place]
              m1 = b1 + sums[c + 1] * x[place]
              m2 = b2 + sums[c + 2] * x[place]
              m3 = b3 + sums[c + 3] * x[place]
              out[to] = Math.max(m0, 0)
              out[to + area] = Math.max(m1, 0)
              out[to + 2 * area] = Math.max(m2, 0)
              out[to + 3 * area] = Math.max(m3, 0)
              winner[to] = m0 > 0 ? place : -1
              winner[to + area] = m1 > 0 ? place : -1
              winner[to + 2 * area] = m2 > 0 ? place : -1
              winner[to + 3 * area] = m3 > 0 ? place : -1
              continue
            }
            // two places at a time, four kernels each: eight sums that stay in registers
            for (let row = 0; row < 2; row++) {
              const place = n * inSize + (2 * y + row) * side + 2 * column
              let l0 = b0
              let l1 = b1
              let l2 = b2
              let l3 = b3
              let r0 = b0
              let r1 = b1
              let r2 = b2
              let r3 = b3
              let at = c * taps
              for (let i = 0; i < taps; i++) {
                const from = place + offsets[i]
                const left = x[from]
                const right = x[from + 1]
                const p0 = packed[at]
                const p1 = packed[at + 1]
                const p2 = packed[at + 2]
                const p3 = packed[at + 3]
                at += 4
                l0 += p0 * left
                r0 += p0 * right
                l1 += p1 * left
                r1 += p1 * right
                l2 += p2 * left
                r2 += p2 * right
                l3 += p3 * left
                r3 += p3 * right
              }
              if (l0 > m0) [m0, w0] = [l0, place]
              if (r0 > m0) [m0, w0] = [r0, place + 1]
              if (l1 > m1) [m1, w1] = [l1, place]
              if (r1 > m1) [m1, w1] = [r1, place + 1]
              if (l2 > m2) [m2, w2] = [l2, place]
              if (r2 > m2) [m2, w2] = [r2, place + 1]
              if (l3 > m3) [m3, w3] = [l3, place]
              if (r3 > m3) [m3, w3] = [r3, place + 1]
            }
            out[to] = m0
            out[to + area] = m1
            out[to + 2 * area] = m2
            out[to + 3 * area] = m3
            winner[to] = w0
            winner[to + area] = w1
            winner[to + 2 * area] = w2
            winner[to + 3 * area] = w3
          }
      }
    return out
  }

  /** Which windows, of a pool and the kernels in it, hold one and the same value all over? */
  findPlain(x, count) {
    const {side, kernel, pooled, inSize, plain} = this
    let at = 0
    for (let n = 0; n < count; n++)
      for (let y = 0; y < pooled; y++)
        for (let column = 0; column < pooled; column++) {
          const place = n * inSize + 2 * y * side + 2 * column
          const value = x[place]
          let same = true
          for (let row = 0; same && row <= kernel; row++)
            for (let i = place + row * side; same && i <= place + row * side + kernel; i++)
              same = x[i] === value
          plain[at++] = same ? 1 : 0
        }
  }

  /** Add to the gradients what `slope` says; `below`, if any, gets the slopes of the input. */
  backward(x, weight, weightGrad, biasGrad, count, below) {
    const {outputs, taps, kernel, pooled, inSize, outSize, offsets, places, slopes} = this
    const {winner, slope, plain} = this
    if (below) below.fill(0, 0, count * inSize)
    const area = pooled * pooled
    for (let n = 0; n < count; n++)
      for (let c = 0; c < outputs; c++) {
        const row = c * taps
        const first = n * outSize + c * area
        let found = 0 // winners that the loss depends on
        let sum = 0
        let even = 0 // what plain paper adds to the gradient of every tap
        for (let j = first; j < first + area; j++) {
          const g = slope[j]
          if (winner[j] < 0 || g === 0) continue
          sum += g
          if (plain?.[n * area + j - first]) {
            even += g * x[winner[j]]
            continue
          }
          places[found] = winner[j]
          slopes[found] = g
          found += 1
        }
        biasGrad[c] += sum
        // a few taps at a time over all winners: their sums stay in registers
        let i = 0
        for (; i + 4 <= taps; i += 4) {
          const [o0, o1, o2, o3] = [offsets[i], offsets[i + 1], offsets[i + 2], offsets[i + 3]]
          let s0 = 0
          let s1 = 0
          let s2 = 0
          let s3 = 0
          for (let j = 0; j < found; j++) {
            const place = places[j]
            const g = slopes[j]
            s0 += g * x[place + o0]
            s1 += g * x[place + o1]
            s2 += g * x[place + o2]
            s3 += g * x[place + o3]
          }
          weightGrad[row + i] += s0 + even
          weightGrad[row + i + 1] += s1 + even
          weightGrad[row + i + 2] += s2 + even
          weightGrad[row + i + 3] += s3 + even
        }
        for (; i < taps; i++) {
          let s = even
          for (let j = 0; j < found; j++) s += slopes[j] * x[places[j] + offsets[i]]
          weightGrad[row + i] += s
        }
        if (!below) continue
        for (let j = 0; j < found; j++) {
          const place = places[j]
          const g = slopes[j]
          for (let k = 0; k < taps; k += kernel) {
            const from = place + offsets[k] // a row of the kernel: neighbors in memory, too
            for (let l = 0; l < kernel; l++) below[from + l] += g * weight[row + k + l]
          }
        }
      }
  }
}

/**
 * 28 x 28 pixels, 5 x 5 kernels and a pool, 3 x 3 kernels and a pool, ten logits. The weights are
 * one row of numbers, in torch's order; so are the gradients and the velocity.
 */
export class Network {
  constructor(maps, batch) {
    const [first, second] = maps
    this.maps = maps
    this.batch = batch
    this.conv1 = new ConvPool(1, 28, first, 5, batch)
    this.conv2 = new ConvPool(first, this.conv1.pooled, second, 3, batch)
    this.features = this.conv2.outSize
    const shapes = {
      "conv1.weight": [first, 1, 5, 5],
      "conv1.bias": [first],
      "conv2.weight": [second, first, 3, 3],
      "conv2.bias": [second],
      "fc.weight": [10, this.features],
      "fc.bias": [10],
    }
    this.layers = []
    let from = 0
    for (const [name, shape] of Object.entries(shapes)) {
      const size = shape.reduce((product, n) => product * n, 1)
      const inputs = shapes[name.replace("bias", "weight")].slice(1).reduce((a, b) => a * b, 1)
      this.layers.push({name, shape, from, size, inputs})
      from += size
    }
    this.count = from
    this.weights = new Float64Array(from)
    this.grads = new Float64Array(from)
    this.velocity = new Float64Array(from)
    const views = (all) =>
      this.layers.map((layer) => all.subarray(layer.from, layer.from + layer.size))
    this.w = views(this.weights)
    this.g = views(this.grads)
    this.logits = new Float64Array(batch * 10) // then their slopes
    this.predicted = new Uint8Array(batch)
    this.losses = new Float64Array(batch) // one a digit
    this.loss = 0 // of the last batch: the mean, as torch gives it
    this.right = 0 // of the last batch
  }

  /** Weights and biases as torch draws them: evenly, up to one over the root of the inputs. */
  draw(random) {
    for (const {from, size, inputs} of this.layers) {
      const bound = 1 / Math.sqrt(inputs)
      for (let i = from; i < from + size; i++) this.weights[i] = (2 * random() - 1) * bound
    }
    this.velocity.fill(0)
    this.grads.fill(0)
  }

  /** Read a batch, and score it against its labels. */
  forward(x, labels, count) {
    const {features, logits, w} = this
    const hidden = this.conv1.forward(x, w[0], w[1], count)
    const seen = this.conv2.forward(hidden, w[2], w[3], count)
    const [weight, bias] = [w[4], w[5]]
    let loss = 0
    let right = 0
    for (let n = 0; n < count; n++) {
      const from = n * features
      const to = n * 10
      let best = 0
      for (let k = 0; k < 10; k++) {
        let sum = bias[k]
        const row = k * features
        for (let i = 0; i < features; i++) sum += weight[row + i] * seen[from + i]
        logits[to + k] = sum
        if (sum > logits[to + best]) best = k
      }
      this.predicted[n] = best
      if (best === labels[n]) right += 1
      const most = logits[to + best]
      let total = 0
      for (let k = 0; k < 10; k++) total += Math.exp(logits[to + k] - most)
      this.losses[n] = Math.log(total) + most - logits[to + labels[n]]
      loss += this.losses[n]
    }
    this.loss = loss / count
    this.right = right
  }

  /** After `forward`: add the gradients of the mean loss to those that are there already. */
  backward(x, labels, count) {
    const {features, logits, conv1, conv2, w, g} = this
    const [weight, weightGrad, biasGrad] = [w[4], g[4], g[5]]
    const seen = conv2.out
    const below = conv2.slope
    below.fill(0, 0, count * features)
    for (let n = 0; n < count; n++) {
      const from = n * features
      const to = n * 10
      let most = -Infinity
      for (let k = 0; k < 10; k++) most = Math.max(most, logits[to + k])
      let total = 0
      for (let k = 0; k < 10; k++) total += Math.exp(logits[to + k] - most)
      for (let k = 0; k < 10; k++) {
        const share = Math.exp(logits[to + k] - most) / total
        const slope = (share - (k === labels[n] ? 1 : 0)) / count
        biasGrad[k] += slope
        const row = k * features
        for (let i = 0; i < features; i++) {
          weightGrad[row + i] += slope * seen[from + i]
          below[from + i] += slope * weight[row + i]
        }
      }
    }
    conv2.backward(conv1.out, w[2], g[2], g[3], count, conv1.slope)
    conv1.backward(x, w[0], g[0], g[1], count, null)
  }

  /** One step of SGD, as torch.optim.SGD takes it; false when a weight is no number any more. */
  step(lr, momentum, decay) {
    const {weights, grads, velocity, count} = this
    let sound = 0
    for (let i = 0; i < count; i++) {
      const v = momentum * velocity[i] + grads[i] + decay * weights[i]
      velocity[i] = v
      const next = weights[i] - lr * v
      weights[i] = next
      sound += 0 * next // 0, or NaN as soon as one of them is infinite or NaN
    }
    return sound === 0
  }
}

/** The learning rate of an epoch, counted from 0, by torch's names. */
export function scheduledRate(schedule, lr, epoch, epochs) {
  if (schedule === "StepLR") return lr * 0.1 ** Math.floor(epoch / Math.ceil((epochs * 3) / 4))
  if (schedule === "ExponentialLR") return lr * 0.8 ** epoch
  if (schedule === "CosineAnnealingLR") return (lr * (1 + Math.cos((Math.PI * epoch) / epochs))) / 2
  return lr
}

/**
 * Numbers from 0 to 1 that look like chance, and are the same for the same seed and use. The
 * generator is xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix32.
 */
export function randomNumbers(seed, use) {
  let state = (seed ^ Math.imul(use + 1, 0x9e3779b9)) >>> 0
  const mixed = () => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  let [a, b, c, d] = [mixed(), mixed(), mixed(), mixed()]
  const turn = (x, by) => (x << by) | (x >>> (32 - by))
  return () => {
    const number = Math.imul(turn(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = turn(d, 11)
    return number / 4294967296
  }
}
