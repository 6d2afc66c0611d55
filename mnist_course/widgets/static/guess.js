// The cards on which a reader guesses before the answer comes, and the look back at the end of a
// lesson. Without JavaScript there are no cards, and nothing is hidden.

import {h, uniqueId} from "./common.js"
import {asAsked, asked, calibration, isRight} from "./guess_rules.js"

const percent = (share) => `${Math.round(100 * share)}%`

/** A number for people: 16,981,120, or 60.54. */
function said(value) {
  if (Array.isArray(value)) return `[${value.map(said).join(", ")}]`
  if (typeof value !== "number") return `${value}`
  if (Number.isInteger(value)) return value.toLocaleString("en-US")
  return `${Number(value.toPrecision(4))}`
}

/** What stands between the two marks of a question: the cell with its answer, and what follows. */
function answerOf(id) {
  const [from, to] = ["from", "to"].map((end) =>
    document.querySelector(`[data-answer-${end}="${CSS.escape(id)}"]`),
  )
  if (!from || from.parentNode !== to?.parentNode) return null
  const nodes = []
  for (let node = from.nextSibling; node && node !== to; node = node.nextSibling) nodes.push(node)
  if (!nodes.some((node) => node.nodeType === Node.ELEMENT_NODE)) return null
  const answer = h("div", {class: "ml-answer"})
  from.after(answer)
  answer.append(...nodes)
  return answer
}

/** One card, in place of the words that stand there for readers without JavaScript. */
function card(place, question, store, changed) {
  const {id, takes, options} = question
  const answer = answerOf(id)
  const {many, words} = asked(takes)
  const labels = options ?? words.map((word) => word.replaceAll("_", " "))
  const name = uniqueId("guess")
  const sure = h("input", {type: "range", min: 0, max: 100, step: 5, value: 50})
  const sureWords = h("output", {}, "50%")
  sure.addEventListener("input", () => {
    sureWords.textContent = `${sure.value}%`
    sure.setAttribute("aria-valuetext", `${sure.value}% sure`)
  })

  // ---- what one answers with: buttons, or a field
  const problem = h("p", {class: "ml-problem", role: "alert"})
  const choices = words.map((word, i) =>
    h(
      "label",
      {class: "ml-choice"},
      h("input", {type: "radio", name, value: word}),
      h("span", {}, labels[i]),
    ),
  )
  const hint =
    many === 1
      ? "a number"
      : many === null
        ? "a word"
        : `${many ? `${many} numbers` : "numbers"}, with commas between them`
  const field =
    many === null && takes !== "word"
      ? null
      : h("input", {
          type: "text",
          autocomplete: "off",
          spellcheck: "false",
          inputmode: many === 1 && !words.length && !(question.actual < 0) ? "decimal" : "text",
          "aria-label": `Your guess: ${hint}`,
          placeholder: hint,
        })
  if (field && words.length && takes !== "word")
    field.addEventListener("input", () => {
      for (const choice of choices) choice.firstChild.checked = false
    })
  const given = () =>
    choices.find((choice) => choice.firstChild.checked)?.firstChild.value ?? field?.value ?? ""

  const commit = h("button", {type: "submit", class: "ml-commit"}, "That’s my guess")
  const skip = h(
    "button",
    {type: "button", class: "ml-quiet", onclick: () => show(true)},
    "Show me without a guess",
  )
  skip.hidden = !answer
  const form = h(
    "form",
    {novalidate: true},
    h(
      "fieldset",
      {},
      h("legend", {}, "Your guess"),
      ...(takes === "word" ? [field] : [...(field ? [field] : []), ...choices]),
    ),
    h("label", {class: "ml-sure"}, h("span", {}, "How sure are you?"), sure, sureWords),
    h("div", {class: "ml-acts"}, commit, skip),
    problem,
  )
  const verdict = h("p", {class: "ml-verdict", tabindex: -1})
  const forget = h(
    "button",
    {
      type: "button",
      class: "ml-quiet",
      onclick: () => {
        store.forget(id)
        shown = false
        changed()
        ;(field ?? choices[0].firstChild).focus()
      },
    },
    "Forget this guess",
  )
  const after = h("div", {class: "ml-after"}, verdict, forget)
  const box = h("div", {class: "ml-guess", role: "group", "aria-label": `Guess ${id}`}, form, after)

  let shown = false // has somebody asked for the answer without a guess?
  const show = (now) => {
    shown = now
    update()
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    const value = asAsked(takes, given())
    if (value === null) {
      problem.textContent = choices.length && !field ? "Choose one of them." : `Type ${hint}.`
      field?.setAttribute("aria-invalid", "true")
      ;(field ?? choices[0].firstChild).focus()
      return
    }
    problem.textContent = ""
    field?.removeAttribute("aria-invalid")
    const right = "actual" in question && isRight(value, question.actual, question.within)
    store.put(id, {value, sure: Number(sure.value) / 100, ...("actual" in question && {right})})
    changed()
    verdict.focus({preventScroll: true})
  })

  const update = () => {
    const guess = store.get(id)
    const open = Boolean(guess) || shown || store.isOpen()
    form.hidden = Boolean(guess)
    after.hidden = !guess
    skip.hidden = !answer || open
    if (answer) {
      if (open) answer.removeAttribute("hidden")
      else answer.setAttribute("hidden", "until-found")
    }
    if (!guess) return
    const judged = "actual" in question
    const right = judged && isRight(guess.value, question.actual, question.within)
    box.classList.toggle("ml-right", right)
    box.classList.toggle("ml-wrong", judged && !right)
    const about = question.within && !Number.isInteger(question.actual) ? "about " : ""
    const shape = words.includes(`${guess.value}`.replaceAll(" ", "_"))
      ? labels[words.indexOf(`${guess.value}`.replaceAll(" ", "_"))]
      : said(guess.value)
    const mark = h("strong", {}, right ? "Right." : judged ? "Not this time." : "Noted.")
    const words_ = ` You said ${shape}, and you were ${percent(guess.sure)} sure.`
    const best = words.indexOf(`${question.actual}`.replaceAll(" ", "_"))
    const truth = best >= 0 ? labels[best] : `${about}${said(question.actual)}`
    verdict.replaceChildren(
      mark,
      words_,
      judged && !right ? ` It’s ${truth}.` : judged && about ? ` It’s ${truth}.` : "",
    )
  }
  // the browser found something in what is hidden, for somebody who searched the page
  answer?.addEventListener("beforematch", () => show(true))
  const led = () => {
    const target =
      location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)))
    if (target && answer?.contains(target)) {
      show(true)
      target.scrollIntoView()
    }
  }
  window.addEventListener("hashchange", led)
  place.replaceChildren(box)
  update()
  led()
  return update
}

/** The look back: how many were right, in this lesson and in all, and a way to forget it all. */
function lookBack(place, {lesson, ids, total}, store, changed) {
  const words = h("p", {role: "status"})
  const all = h("p", {class: "ml-all"})
  const dots = h("div", {class: "ml-dots", role: "img"})
  const open = h("input", {type: "checkbox"})
  open.addEventListener("change", () => {
    store.setOpen(open.checked)
    changed()
  })
  let asks = false
  const clear = h("button", {type: "button", class: "ml-quiet"}, "Forget all my guesses")
  clear.addEventListener("click", () => {
    if (asks) {
      store.clear()
      changed()
    }
    asks = !asks
    clear.textContent = asks ? "Really forget all of them?" : "Forget all my guesses"
  })
  clear.addEventListener("blur", () => {
    asks = false
    clear.textContent = "Forget all my guesses"
  })
  const box = h(
    "div",
    {class: "ml-guess ml-back", role: "group", "aria-label": "Your guesses"},
    h("p", {class: "ml-title"}, `Your guesses in lesson ${lesson}`),
    words,
    dots,
    all,
    h(
      "div",
      {class: "ml-acts"},
      h("label", {class: "ml-check"}, open, " show answers without a guess"),
      clear,
    ),
    h("p", {class: "ml-small"}, "They are kept in this browser and go nowhere else."),
  )
  const judged = (found) => found.filter((guess) => typeof guess.right === "boolean")
  const update = () => {
    const kept = store.all()
    const here = judged(ids.filter((id) => Object.hasOwn(kept, id)).map((id) => kept[id]))
    const seen = calibration(here)
    words.textContent = seen
      ? `${here.length} of ${ids.length} guesses: ` +
        `you were ${percent(seen.sure)} sure on average, ` +
        `and ${percent(seen.right)} of them were right. ${seen.verdict}`
      : "None yet. Each card above waits for one."
    dots.hidden = !seen
    dots.setAttribute(
      "aria-label",
      here
        .map((guess) => `${percent(guess.sure)} sure: ${guess.right ? "right" : "wrong"}`)
        .join("; "),
    )
    dots.replaceChildren(
      ...here.map((guess) => {
        const dot = h("span", {class: guess.right ? "ml-hit" : "ml-miss"})
        dot.style.left = `${100 * guess.sure}%`
        return dot
      }),
    )
    const every = judged(Object.values(kept))
    const right = every.filter((guess) => guess.right).length
    all.textContent = every.length
      ? `In the whole course: ${right} right of ${every.length} guessed, of ${total} questions.`
      : ""
    open.checked = store.isOpen()
    clear.hidden = !Object.keys(kept).length
  }
  place.replaceChildren(box)
  update()
  return update
}

/** All cards of a page, and its look back. */
export function attachGuesses(questions, makeStore) {
  const updates = []
  const changed = () => {
    for (const update of updates) update()
  }
  const store = makeStore(changed)
  for (const place of document.querySelectorAll("[data-guess]")) {
    const question = questions.cards.find(({id}) => id === place.dataset.guess)
    if (question) updates.push(card(place, question, store, changed))
  }
  for (const place of document.querySelectorAll("[data-look-back]"))
    updates.push(lookBack(place, questions, store, changed))
}
