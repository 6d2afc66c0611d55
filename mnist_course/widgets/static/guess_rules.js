// How a typed guess is read, and when it is right: the same rules as in mnist_course/progress.py.

const PLAIN = "[+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?"
const THOUSANDS = "[+-]?[1-9]\\d{0,2}(?:([, _'])\\d{3})(?:\\1\\d{3})*(?:\\.\\d+)?"
const SCALES = {thousand: 1e3, million: 1e6, billion: 1e9}
const MOST = 1e300 // no number that anybody means is larger

const whole = (pattern, flags = "") => new RegExp(`^(?:${pattern})$`, flags)
const isNumber = (value) => typeof value === "number" && Math.abs(value) < MOST

/** What a text can mean: numbers first, then lists of numbers. */
export function readings(given) {
  const text = given
    .trim()
    .replace(/^['"`]+|['"`]+$/g, "")
    .replace(/\u2212/g, "-")
    .replace(/[\u00a0\u202f\u2009]/g, " ")
    .replace(/\u2019/g, "'")
    .trim()
    .replace(/^(?:about|around|roughly|approximately|[a-z]\w*\s*=|[=~\u2248])\s*/i, "")
  const found = []
  if (text.length > 200) return found
  if (whole(THOUSANDS).test(text)) found.push(Number(text.replace(/[, _']/g, "")))
  if (whole(PLAIN).test(text)) found.push(Number(text))
  if (/^[+-]?\d*,\d+$/.test(text)) found.push(Number(text.replace(",", "."))) // a decimal comma
  const percent = /^([\s\S]+?)\s*(?:%|percent|per cent)$/.exec(text)
  if (percent)
    for (const value of readings(percent[1])) if (isNumber(value)) found.push(value, value / 100)
  const scaled = /^([\s\S]+?)\s*(thousand|million|billion)$/i.exec(text)
  if (scaled)
    for (const value of readings(scaled[1]))
      if (isNumber(value))
        found.push(Number((value * SCALES[scaled[2].toLowerCase()]).toPrecision(12)))
  const ratio = whole(`(${PLAIN})\\s*/\\s*(${PLAIN})`).exec(text)
  if (ratio && Number(ratio[2])) found.push(Number(ratio[1]) / Number(ratio[2]))
  const inside = text.replace(/^[[({]\s*|\s*[\])}]$/g, "")
  const parts = inside
    .replace(/(\d)x(?=\d)/g, "$1 ")
    .split(/\s*[,;\u00d7]\s*|\s+(?:and|by|x)\s+|\s+/)
    .filter(Boolean)
  if (
    parts.length &&
    parts.every((part) => whole(PLAIN).test(part)) &&
    (parts.length > 1 || inside !== text)
  )
    found.push(parts.map(Number))
  const numbers = [...text.matchAll(new RegExp(`(?:^|[^\\w.])(${PLAIN})(?![\\w.])`, "g"))]
  if (!found.length && numbers.length === 1 && /^[\w.+\-\s]*$/.test(text))
    found.push(Number(numbers[0][1])) // 19 pixels
  return found
}

/** The letters in "c b", "C, B" or ["c", "b"], as "cb"; other texts without their blanks. */
function letters(value) {
  if (Array.isArray(value)) return value.map(letters).join("")
  return `${value}`.replace(/[\s,;.()[\]'"]/g, "").toLowerCase()
}

/** What a question takes: how many numbers (0: any number of them, null: none), and which words. */
export function asked(takes) {
  const options = takes.split(" ").filter(Boolean)
  const last = options.at(-1)
  if (last === "number" || last === "numbers")
    return {many: takes === "number" ? 1 : Number.parseInt(options[0], 10) || 0, words: []}
  if (options[0] === "number") return {many: 1, words: options.slice(1)}
  return {many: null, words: options}
}

/** A guess in the form that its question takes, or null when it is none. */
export function asAsked(takes, given) {
  const {many, words} = asked(takes)
  const ways = readings(given)
  if (takes === "") return given
  if (many === 1) {
    const number = ways.find(isNumber)
    if (number !== undefined) return number
  }
  if (many !== null && many !== 1) {
    const fits = (way) =>
      Array.isArray(way) && way.every(isNumber) && (!many || way.length === many)
    return ways.find(fits) ?? null
  }
  if (takes === "word")
    return ways.length || !given.trim() ? null : given.trim().replace(/^['"]+|['"]+$/g, "")
  const text = letters(given)
  const bare = (word) => word.replaceAll("_", "").toLowerCase()
  const option = words.find((word) => bare(text) === bare(word))
  return option === undefined ? null : option.replaceAll("_", " ")
}

/** True if a guess is right. Numbers may be off by `within`; letters may be large or small. */
export function isRight(guessed, actual, within = 0) {
  if (typeof actual === "string" || typeof guessed === "string")
    return letters(guessed) === letters(actual)
  if (Array.isArray(actual))
    return (
      Array.isArray(guessed) &&
      guessed.length === actual.length &&
      actual.every((one, i) => isRight(guessed[i], one, within))
    )
  if (!isNumber(guessed) || !isNumber(actual)) return false
  // a number typed with few digits may be a hair beyond the limit
  return Math.abs(guessed - actual) <= within * (1 + 1e-9)
}

/** How sure somebody was beside how often they were right, in the words of the notebook. */
export function calibration(guesses) {
  if (!guesses.length) return null
  const mean = (name) =>
    guesses.reduce((sum, guess) => sum + Number(guess[name]), 0) / guesses.length
  const [sure, right] = [mean("sure"), mean("right")]
  if (Math.abs(sure - right) <= 0.15) return {sure, right, verdict: "That is well judged."}
  const verdict = sure < right ? "You could trust yourself more." : "A little more doubt would pay."
  return {sure, right, verdict}
}
