// The one script of a page that is alive. Over http it fetches modules; a browser reads no modules
// from a bare file, so that there it takes the same code as plain scripts.
{
  const here = new URL(".", document.currentScript.src).href
  if (location.protocol === "file:") {
    const script = document.createElement("script")
    script.src = `${here}file/live.js`
    script.onload = () => globalThis.mnistCourse.live.start(here)
    document.head.append(script)
  } else import(`${here}live.js`).then(({start}) => start(here))
}
